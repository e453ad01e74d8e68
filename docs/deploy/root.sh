#!/bin/sh
# Assembles what an image needs: the binary, stripped, the few libraries that it is linked with, and
# the folders that it may write to. The Containerfile runs it, and so does the suite.
# Usage: root.sh BINARY FOLDER [UID]
set -eu
binary=$1 root=$2 user=${3:-65532}

mkdir -p "$root/usr/bin" "$root/etc/pointsman"
cp "$binary" "$root/usr/bin/pointsman"
# One that is stripped already is left alone, and a machine that only runs things has no strip.
strip --strip-all "$root/usr/bin/pointsman" 2>/dev/null || true
chmod 755 "$root/usr/bin/pointsman"

# `name => /path (address)`, and the loader as `/path (address)`; the kernel's own has no path.
ldd "$binary" | sed -n 's,^.*[[:space:]]\(/[^ ]*\) (0x[0-9a-f]*)$,\1,p' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
    chmod 755 "$root$library"
done

for folder in run/pointsman var/lib/pointsman var/log/pointsman; do
    mkdir -p "$root/$folder"
    chmod 755 "$root/$folder"
    [ "$(id -u)" != 0 ] || chown "$user:$user" "$root/$folder"
done
