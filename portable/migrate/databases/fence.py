"""Who may come in: pg_hba.conf, changed so that every change can be made twice and is undone exactly.

A setting such as default_transaction_read_only would not do: any session may set it back. The file holds across restarts too.
Inside the pod the socket stays open: that is how the database is asked here.
"""

_MARK = "# portable migration"
# The socket of the pod, and the standby.
_INSIDE = r"^[[:space:]]*local[[:space:]]"


def with_replication(role: str) -> str:
    """First, since the first line that fits decides. `all` in the image's own line does not mean replication."""
    return _marked(f"echo 'host replication {role} all scram-sha-256 {_MARK}';")


def _marked(first: str) -> str:
    """The files anew: what `first` says, then all that does not carry our mark."""
    return f"""\
set -euo pipefail
umask 077
cd "$PGDATA"
for file in pg_hba.conf pg_hba.conf.portable; do
  [ -e "$file" ] || continue
  {{ {first} grep -v '{_MARK}$' "$file" || true; }} > "$file.new"
  mv --no-target-directory "$file.new" "$file"
done
"""


WITHOUT_REPLICATION = _marked("")

FENCE = f"""\
set -euo pipefail
umask 077
cd "$PGDATA"
[ -e pg_hba.conf.portable ] || {{ cp -p pg_hba.conf pg_hba.conf.new; mv --no-target-directory pg_hba.conf.new pg_hba.conf.portable; }}
grep -E -e '{_INSIDE}' -e '{_MARK}$' pg_hba.conf.portable > pg_hba.conf.new
mv --no-target-directory pg_hba.conf.new pg_hba.conf
sync -f .
"""

UNFENCE = """\
set -euo pipefail
umask 077
cd "$PGDATA"
[ ! -e pg_hba.conf.portable ] || mv --no-target-directory pg_hba.conf.portable pg_hba.conf
"""

# A new session's load time is the postmaster's: once it is past our request, nobody is let in by the old file any more. Who was
# on the way in by the old one is in no view yet, but in the process list. The last commit flushes all that came before it.
FENCED = r"""\
set -euo pipefail
ask() { psql --no-psqlrc -AtqX -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "$1"; }
asked=$(ask "SELECT clock_timestamp()")
ask "SELECT pg_reload_conf()" >/dev/null
until [ "$(ask "SELECT pg_conf_load_time() >= '$asked'")" = t ]; do sleep 0.05; done
others="FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
until [ "$(ask "SELECT count(pg_terminate_backend(pid)) $others")" = 0 ]; do sleep 0.05; done
entering() {
  local each title parent
  for each in /proc/[0-9]*; do
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$each/status" 2>/dev/null) || continue
    title=$(tr '\0' ' ' 2>/dev/null <"$each/cmdline") || continue
    [ "$parent" = 1 ] || continue
    case $title in
      "postgres: "*initializing* | "postgres: "*authentication* | "postgres ") kill "${each#/proc/}" 2>/dev/null && return 0 ;;
    esac
  done
  return 1
}
while entering; do sleep 0.05; done
until [ "$(ask "SELECT count(pg_terminate_backend(pid)) $others")" = 0 ]; do sleep 0.05; done
ask "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'portable', 'fence')" >/dev/null
ask "SELECT pg_current_wal_flush_lsn()"
"""
