"""A shell script that makes the Secrets of an app: with values that it draws or is given, none of which stands in a file here.

Values pass from files or /dev/urandom through pipes; no command gets one as an argument (printf is the shell's own).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from portable.compile.objects import ExpectedSecret, GeneratedSecret, Objects
from portable.situation import namespace_labels

# A part of a template: `portable.compile.objects.GeneratedSecret`.
_PART = re.compile(r"\$\$|\$\{(?:([^}/]+)/)?([^}]+)\}")

_HEAD = """\
#!/bin/sh
# Makes the Secrets that the other files refer to, with kubectl alone. What is there already is left as it is.
#
#   sh secrets.sh [DIR]    DIR/NAME/KEY holds the value of a key; without it you are asked on the terminal.
set -eu
umask 077
namespace={namespace}
values=${{1:-}}
tab=$(mktemp -d)
trap 'rm -rf "$tab"' EXIT

exists() {{ kubectl get secret "$1" --namespace "$namespace" --ignore-not-found --output name | grep -q .; }}
drawn() {{ LC_ALL=C tr -dc 'A-Za-z0-9_-' </dev/urandom | head -c 32; }}
key_of() {{ kubectl get secret "$1" --namespace "$namespace" --output "go-template={{{{index .data \\"$2\\"}}}}" | base64 -d; }}
given() {{
    if [ -n "$values" ] && [ -f "$values/$1/$2" ]; then cat "$values/$1/$2"; return; fi
    if [ ! -t 0 ]; then echo "no value for $2 of the secret $1: put it into $values/$1/$2" >&2; return 1; fi
    printf '%s of the secret %s: ' "$2" "$1" >&2
    stty -echo; IFS= read -r line; stty echo; echo >&2
    printf %s "$line"
}}
# certificate NAME HOST...: the one in $values, else one that signs itself, good for a try only
certificate() {{
    name=$1; shift
    if [ -n "$values" ] && [ -f "$values/$name/tls.crt" ]; then cp "$values/$name/tls.crt" "$values/$name/tls.key" "$tab"; return; fi
    echo "$name: no certificate in $values/$name: one that signs itself is made" >&2
    names=$(printf ',DNS:%s' "$@")
    openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj "/CN=$1" -addext "subjectAltName=${{names#,}}" \\
        -keyout "$tab/tls.key" -out "$tab/tls.crt" 2>/dev/null
}}
# make NAME TYPE LABELS KEY...: reads each key's value from the file of that name in $tab
make() {{
    name=$1 type=$2 labels=$3; shift 3
    {{
        printf 'apiVersion: v1\\nkind: Secret\\nmetadata: {{name: %s, namespace: %s, labels: %s}}\\n' "$name" "$namespace" "$labels"
        printf 'type: %s\\ndata:\\n' "$type"
        for key; do printf '  %s: "%s"\\n' "$key" "$(base64 <"$tab/$key" | tr -d '\\n')"; done
    }} | kubectl create --filename -
    rm -f "$tab"/* "$tab"/.[!.]*
}}

kubectl get namespace "$namespace" >/dev/null || {{ echo "apply the manifests first: they make the namespace" >&2; exit 1; }}
"""


def script(objects: Objects) -> str:
    """The script for one cloud's objects; empty where the app needs no Secret."""
    if not objects.generated and not objects.expected:
        return ""
    labels = namespace_labels(objects)
    parts = [_HEAD.format(namespace=shlex.quote(objects.namespace))]
    parts += [_make(secret.name, secret.type, labels, _values(secret)) for secret in objects.expected]
    # in their order those with values of their own come first: others are composed from them
    parts += [
        _make(secret.name, "Opaque", secret.manifest["metadata"].get("labels", {}), _drawn(secret))
        for secret in objects.generated
    ]
    return "\n".join(parts)


def _make(name: str, kind: str, labels: Mapping[str, str], values: Mapping[str, str]) -> str:
    """`values`: key -> the command that writes the value to standard output; an empty key is a command of its own."""
    lines = [f"    {command} >{_file(key)}" if key else f"    {command}" for key, command in values.items()]
    keys = [key for key in values if key] or ["tls.crt", "tls.key"]
    last = shlex.join(["make", name, kind, json.dumps(dict(labels)), *keys])
    return "\n".join([f"if ! exists {shlex.quote(name)}; then", *lines, f"    {last}", "fi", ""])


def _file(key: str) -> str:
    return f'"$tab"/{shlex.quote(key)}'


def _values(secret: ExpectedSecret) -> dict[str, str]:
    if secret.certificate_hosts:
        return {"": shlex.join(["certificate", secret.name, *secret.certificate_hosts])}
    return {key: shlex.join(["given", secret.name, key]) for key in secret.keys}


def _drawn(secret: GeneratedSecret) -> dict[str, str]:
    found = dict.fromkeys(secret.generate, "drawn")
    found |= {key: f"printf %s {shlex.quote(value)}" for key, value in secret.fixed.items()}
    return found | {key: _composed(template) for key, template in secret.templates.items()}


def _composed(template: str) -> str:
    """Commands that write a template's value, part for part."""
    commands: list[str] = []

    def literal(text: str) -> None:
        if text:
            commands.append(f"printf %s {shlex.quote(text)}")

    end = 0
    for match in _PART.finditer(template):
        literal(template[end : match.start()])
        end = match.end()
        other, key = match.groups()
        if match.group() == "$$":
            literal("$")
        else:
            commands.append(shlex.join(["key_of", other, key]) if other else f"cat {_file(key)}")
    literal(template[end:])
    return "{ " + "; ".join(commands) + "; }"
