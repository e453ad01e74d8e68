#!/bin/sh
# Gives a machine the shared address for good, without a word about it on the network: what it has
# begun to answer it can finish when the address has moved to another machine.
#
# usage: address.sh ADDRESS           once after each boot
set -eu
ip addr replace "$1/32" dev lo
# Who asks on the network whose it is, is answered where it is on that very interface.
sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
