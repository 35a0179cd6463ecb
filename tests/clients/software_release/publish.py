"""Gives connection parameters back to the master, as the `publish` recipe of SlapOS does from an instance's buildout."""

import sys

import slapos.slap

url, computer_id, partition_id = sys.argv[1:]
slap = slapos.slap.slap()
slap.initializeConnection(url)
partition = slap.registerComputerPartition(computer_id, partition_id)
name = partition.getInstanceParameterDict().get("name", "nobody")
partition.setConnectionDict({"greeting": f"hello <{name}>", "partition": partition_id})
