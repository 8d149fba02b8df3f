"""runc for hosts whose root lacks CAP_SYS_RESOURCE (some sandboxes and micro-VMs).

There `docker run --privileged` fails with "unable to apply caps", because Docker asks for every capability. This drops the
one that cannot be given, and the negative OOM scores that need it, from what Docker asks for, then becomes runc.
Standard library only: it is started once for each container and each exec.
"""

import json
import os
import shutil
import sys

MISSING = "CAP_SYS_RESOURCE"


def option(arguments, *names):
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else arguments[index + 1]
    return None


def relax(process):
    for names in (process.get("capabilities") or {}).values():
        if MISSING in names:
            names.remove(MISSING)
    if (process.get("oomScoreAdj") or 0) < 0:
        process["oomScoreAdj"] = 0


def rewrite(path, pick):
    try:
        with open(path) as file:
            document = json.load(file)
    except FileNotFoundError:
        return
    relax(pick(document))
    with open(path, "w") as file:
        json.dump(document, file)


def main():
    arguments = sys.argv[1:]
    if "create" in arguments or "run" in arguments:
        bundle = option(arguments, "--bundle", "-b") or "."
        rewrite(os.path.join(bundle, "config.json"), lambda document: document.get("process", {}))
    elif "exec" in arguments:
        path = option(arguments, "--process", "-p")
        if path:
            rewrite(path, lambda document: document)
    search = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
    os.execv(shutil.which("runc", path=search) or "/usr/sbin/runc", ["runc", *arguments])


if __name__ == "__main__":
    main()
