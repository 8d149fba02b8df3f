"""A stand-in for AWS: moto for EC2, IAM, STS, ELB and CloudWatch Logs, with a stricter EKS of our own.

What is whose:

- `moto` (others'): the network, roles, caller identity, load balancers, log groups. Its own EKS is not used: it has 17 of 70 calls, no
  add-ons, access entries, pod identity, updates or versions, is ACTIVE at once, and takes versions and subnets that do not exist.
- `rules` (ours): where moto deletes what AWS holds on to (DependencyViolation), or answers less than was asked.
- `eks` (a mock, ours): every operation that the plugin uses. Requests and replies are validated against botocore's service model,
  which is Amazon's own; states go CREATING, ACTIVE, UPDATING, DELETING over as many looks as a test says; it refuses what the
  documentation says that EKS refuses. Nothing better can be had without an account: the alternative, ministack, has no updates.
- `quotas` and `simulate` (mocks, ours): Service Quotas but for VPC's, and IAM's policy simulator, which moto lacks.

No instance runs behind a node group, and no controller makes load balancers: tests put those there themselves.
"""
