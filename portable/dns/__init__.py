"""DNS records of routes: who serves a host's zone, whose a record is, what is written and what a person has to write.

settings    what the user chose: nothing, a DNS server that takes updates (RFC 2136), or to write the records by hand
places      the zone that a host belongs to: the user's server, else the cloud's own service
ownership   a TXT record beside each of ours; what is not ours is never touched
rfc2136     the standard's own way, for any name server that allows it
records     how values are written, for every service
secondaries a zone's other name servers, waited for
ledger      what was written for an app, kept in its namespace
routes      the flow: after a rollout records are made true, before a farewell they go
public      records that a person writes: the line, and whether it is true
"""
