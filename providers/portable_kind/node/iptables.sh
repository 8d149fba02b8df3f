#!/bin/sh
# The flavour of iptables (nft or legacy) that this node's kubelet uses: it leaves a chain as a hint. The first call settles
# it for the container, as Kubernetes' own kube-proxy image does (iptables-wrappers).
mode=legacy
iptables-nft-save -t mangle 2>/dev/null | grep -q KUBE-IPTABLES-HINT && mode=nft
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -sf "xtables-$mode-multi" "/usr/sbin/$name"
done
exec "/usr/sbin/${0##*/}" "$@"
