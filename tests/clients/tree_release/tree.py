"""What an instance of the tree does each time that the node processes it, with its own SLAP calls.

`default` requests a `middle`, which requests a `leaf` and a shared instance on a `host`. Each publishes what it
knows of those below it, so that what the leaf says arrives at the root when every one was processed again in time.
A `host` publishes an address for each shared instance it is told of.
"""

import sys

import slapos.slap

url, computer_id, partition_id, release, key, certificate = sys.argv[1:]
slap = slapos.slap.slap()
slap.initializeConnection(url, key or None, certificate or None)
partition = slap.registerComputerPartition(computer_id, partition_id)
parameters = partition.getInstanceParameterDict()
software_type = parameters["slap_software_type"]


def ask(below, title, **more):
    """A request from inside this partition; what it published, or `pending`."""
    asked = partition.request(release, below, title, **more)
    return asked.getConnectionParameterDict()


if software_type == "host":
    for shared in parameters["slave_instance_list"]:
        partition.setConnectionDict({"address": f"db://{shared['slave_title']}?size={shared['size']}"},
                                    shared["slave_reference"])
    partition.setConnectionDict({"shared": str(len(parameters["slave_instance_list"]))})
elif software_type == "leaf":
    partition.setConnectionDict({"path": f"leaf({parameters['wish']})"})
elif software_type == "middle":
    leaf = ask("leaf", "grandchild", partition_parameter_kw={"wish": parameters["wish"]})
    base = ask("host", "base", shared=True, partition_parameter_kw={"size": "5"})
    partition.setConnectionDict({"path": f"middle/{leaf.get('path', 'pending')}",
                                 "address": base.get("address", "pending")})
else:
    middle = ask("middle", "child", partition_parameter_kw={"wish": parameters["wish"]})
    partition.setConnectionDict({"path": f"root/{middle.get('path', 'pending')}",
                                 "address": middle.get("address", "pending")})
