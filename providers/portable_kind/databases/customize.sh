#!/bin/sh
# Makes an extracted root file system an image: a user with id 999, writable folders, and nothing that a server never reads.
# Arguments: root file system, service (postgres or redis), entry script. No package script has run.
set -eu
root=$1 service=$2 entry=$3

printf 'root:x:0:0:root:/root:/bin/bash\n%s:x:999:999::/var/lib/%s:/bin/bash\n' "$service" "$service" >"$root/etc/passwd"
printf 'root:x:0:\n%s:x:999:\n' "$service" >"$root/etc/group"
[ -e "$root/bin/sh" ] || ln -s bash "$root/bin/sh"
install -D -m 0755 "$entry" "$root/usr/local/bin/docker-entrypoint.sh"
mkdir -p "$root/tmp" "$root/run" "$root/docker-entrypoint-initdb.d"
chmod 1777 "$root/tmp"

if [ "$service" = postgres ]; then
  rm -rf "$root/var/run" && ln -s /run "$root/var/run"
  install -d -o 999 -g 999 -m 0755 "$root/var/lib/postgresql" "$root/var/lib/postgresql/data"
  install -d -o 999 -g 999 -m 1777 "$root/run/postgresql"
  # Just-in-time compilation is optional, and its compiler is bigger than all the rest.
  find "$root/usr/lib/postgresql" -name 'llvmjit*' -delete
  rm -rf "$root"/usr/lib/postgresql/*/lib/bitcode
  find "$root/usr/lib" "$root/lib" \( -name 'libLLVM*' -o -name 'libz3*' -o -name 'libperl*' \) -delete
  for tool in "$root"/usr/lib/postgresql/*/bin/*; do
    name=$(basename "$tool")
    # Debian's own links go through a Perl wrapper that knows Debian's clusters.
    rm -f "$root/usr/bin/$name"
    ln -s "${tool#"$root"}" "$root/usr/bin/$name"
  done
else
  rm -rf "$root/docker-entrypoint-initdb.d"
  install -d -o 999 -g 999 -m 0755 "$root/data" "$root/var/lib/redis"
fi

# Never the whole tree: mmdebstrap mounts /proc and /sys of this machine into it.
find "$root/usr" "$root/etc" -name '*perl*' -prune -exec rm -rf {} +
rm -rf "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale "$root"/usr/share/i18n \
  "$root"/usr/share/lintian "$root"/usr/share/bug "$root"/usr/share/zsh "$root"/usr/lib/*/gconv \
  "$root"/usr/share/postgresql-common "$root"/usr/share/perl* "$root"/var/cache/* "$root"/var/lib/apt "$root"/var/lib/dpkg \
  "$root"/etc/cron.* "$root"/etc/init.d "$root"/lib/systemd
find "$root"/usr/lib/locale -mindepth 1 -maxdepth 1 ! -name 'C.utf8' -exec rm -rf {} + 2>/dev/null || true
