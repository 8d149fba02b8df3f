"""Container images: built where the spec says `build`, named by what they were built from, brought to where they run.

content    a digest of everything that a build sees; it is the image's tag, so nothing is built twice
wanted     the images that an app's spec asks to be built, and the names they get
builders   Docker, BuildKit, Podman, Buildah: which one is here; `command_lines`: how each is told what to build
building   an image built, looked for, and given out as an archive
stores     images that Docker, Podman and Buildah keep, by their names
crane      copies and pushes between archives and registries, without a daemon
delivery   built images into the cluster's nodes or its cloud's registry, pinned by digest
"""
