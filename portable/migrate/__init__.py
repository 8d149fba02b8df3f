"""`migrate`: a running app, data included, moved between clusters, with proof and a way back.

sides       the two ends: an app on its source's and on its target's cluster
journal     every step that was begun and ended, in the cluster; all of a migration's state, compare-and-set
inventory   what there is to move; what cannot, and why
steps       one module each: do, check, undo
transfer    mover pods at both ends, the path between them, seed, final sync, verify
databases   postgres and redis by their own replication
cutover     DNS, and the source's routes forwarded to the target meanwhile
images      mirrored by digest into the target's registry
"""
