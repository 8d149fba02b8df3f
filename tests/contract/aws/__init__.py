"""The EKS plugin against the stand-in of tests/clouds/aws."""
