"""Gives connection parameters back to the master, as the `publish` recipe of SlapOS does from an instance's buildout.

With a parameter `child` it requests an instance of that title before, from inside its partition, and says what that one
says. Where its node has a certificate for the partition, it comes with that.
"""

import sys

import slapos.slap

url, computer_id, partition_id, release, key, certificate = sys.argv[1:]
slap = slapos.slap.slap()
slap.initializeConnection(url, key or None, certificate or None)
partition = slap.registerComputerPartition(computer_id, partition_id)
parameters = partition.getInstanceParameterDict()
published = {"greeting": f"hello <{parameters.get('name', 'nobody')}>", "partition": partition_id}
if "child" in parameters:
    child = partition.request(release, "default", parameters["child"], partition_parameter_kw={"name": "child"})
    published["child"] = child.getConnectionParameterDict().get("greeting", "pending")
partition.setConnectionDict(published)
