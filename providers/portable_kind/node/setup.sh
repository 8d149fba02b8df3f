#!/bin/sh
# Run once in the build container: what the Dockerfile of kind's base image does after it copied the files (kind v0.33.0,
# images/base/Dockerfile). Differences are marked.
set -eu

# systemd in a container starts what kind needs, and nothing else.
rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
  /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
ln -sf /lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service

mkdir -p /etc/kubernetes/manifests /opt/cni /usr/local/sbin
# Ours: Debian's runc and CNI plugins, at the places where containerd looks for them.
ln -sf /usr/sbin/runc /usr/local/sbin/runc
ln -sfn /usr/lib/cni /opt/cni/bin

# Ours: the OOM score of a pod cannot be lowered on hosts whose root lacks CAP_SYS_RESOURCE, and the pause image is the one
# that kubeadm names for this version.
pause=$(kubeadm config images list --kubernetes-version "$(cat /kind/version)" | grep /pause:)
sed -i -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
  -e "s#sandbox_image = .*#sandbox_image = \"$pause\"#" /etc/containerd/config.toml
# Ours: kubelet 1.36 refuses cgroup v1 unless told otherwise; kind's own flow then needs no patch from its user.
mkdir -p /etc/kubernetes/kubelet.conf.d
printf 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailCgroupV1: false\n' \
  >/etc/kubernetes/kubelet.conf.d/10-cgroup-v1.conf
sed -i 's#$# --config-dir=/etc/kubernetes/kubelet.conf.d#' /etc/default/kubelet

ctr oci spec |
  jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"}
      | del(.process.rlimits)' >/etc/containerd/cri-base.json
