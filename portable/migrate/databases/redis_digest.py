"""One digest of everything that a redis holds, made in its pod with what its image has: a hash for each key, sorted.

By content and not by DUMP: how a value is stored depends on how it came to be, and a replica's is loaded from a file. Keys that
expire before the time on standard input (milliseconds since the epoch) are left out: when they are gone is a question of
milliseconds. Of streams the entries and the groups' positions count; of modules' own types what they dump.
"""

_PAGE = """\
local function flat(into, value)
  if type(value) == 'table' then
    if value.ok then value = value.ok else
      for _, each in ipairs(value) do flat(into, each) end
      return
    end
  end
  local text = tostring(value)
  into[#into + 1] = #text .. ':' .. text
end
local function content(kind, key)
  if kind == 'string' then return redis.call('GET', key) end
  if kind == 'list' then return redis.call('LRANGE', key, 0, -1) end
  if kind == 'zset' then return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  if kind == 'set' then
    local members = redis.call('SMEMBERS', key)
    table.sort(members)
    return members
  end
  if kind == 'hash' then
    local fields, pairs_of = redis.call('HGETALL', key), {}
    for at = 1, #fields, 2 do pairs_of[#pairs_of + 1] = #fields[at] .. ':' .. fields[at] .. fields[at + 1] end
    table.sort(pairs_of)
    return pairs_of
  end
  if kind == 'stream' then
    local found = {redis.call('XRANGE', key, '-', '+')}
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
      for at = 1, #group, 2 do
        local name = group[at]
        if name == 'name' or name == 'pending' or name == 'last-delivered-id' then found[#found + 1] = group[at + 1] end
      end
    end
    return found
  end
  return redis.call('DUMP', key)
end
local page = redis.call('SCAN', ARGV[1], 'COUNT', 500)
local found = {page[1]}
for _, key in ipairs(page[2]) do
  local ends = redis.call('PEXPIRETIME', key)
  if ends == -1 or ends > tonumber(ARGV[2]) then
    local kind, parts = redis.call('TYPE', key).ok, {}
    flat(parts, {ARGV[3], kind, key, string.format('%d', ends), content(kind, key)})
    found[#found + 1] = redis.sha1hex(table.concat(parts))
  end
end
return found
"""

# `sort -u`: a scan may name a key twice. The volume is the only place that a sort of many keys can spill to.
SCRIPT = f"""\
set -euo pipefail
read -r at
page=$(cat <<'LUA'
{_PAGE}LUA
)
hashes() {{
  local db cursor found
  for db in $(redis-cli -e INFO keyspace | tr -d '\\r' | sed -n 's/^db\\([0-9]*\\):.*/\\1/p'); do
    cursor=0
    while :; do
      found=$(redis-cli -e -n "$db" --raw EVAL_RO "$page" 0 "$cursor" "$at" "$db")
      cursor=${{found%%$'\\n'*}}
      [ "$found" = "$cursor" ] || printf '%s\\n' "${{found#*$'\\n'}}"
      [ "$cursor" != 0 ] || break
    done
  done
}}
hashes | LC_ALL=C sort -u -S 16M -T /data | sha256sum | cut -d' ' -f1
"""
