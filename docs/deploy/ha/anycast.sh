#!/bin/sh
# Lets BIRD announce the address of the service while pointsman is well, and withdraws it as soon as
# it is not: two bad answers, 0.1 s apart. Three good ones bring it back.
#
# usage: anycast.sh [PROTOCOL]        the static protocol in bird.conf, anycast if none is given
set -u
protocol=${1:-anycast}
fall=2 rise=3
announced=unknown good=0 bad=0

withdraw() { birdc disable "$protocol" >/dev/null && announced=no; }
announce() { birdc enable "$protocol" >/dev/null && announced=yes; }

trap 'exit 0' INT TERM
trap withdraw EXIT
while :; do
    if timeout 1 /usr/bin/pointsman ctl health >/dev/null 2>&1; then
        good=$((good + 1)) bad=0
    else
        bad=$((bad + 1)) good=0
    fi
    if [ $announced != no ] && [ $bad -ge $fall ]; then
        echo "pointsman is not well: $protocol withdrawn"
        withdraw
    elif [ $announced != yes ] && [ $good -ge $rise ]; then
        echo "pointsman is well: $protocol announced"
        announce
    fi
    sleep 0.1
done
