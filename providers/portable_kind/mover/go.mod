module portable/mover

go 1.26.0

require (
	github.com/hashicorp/yamux v0.1.2
	github.com/klauspost/compress v1.20.1
	golang.org/x/sys v0.48.0
)
