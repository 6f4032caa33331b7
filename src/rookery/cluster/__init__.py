"""Many workers behind one port: balancing, rolling reload, statistics. See Cluster."""
