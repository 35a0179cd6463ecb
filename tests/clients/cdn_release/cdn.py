"""What an instance of the CDN does each time that the node processes it, with its own SLAP calls.

`default` is the root, which sites share. It passes the list of all sites to each of its frontends, as the CDN of SlapOS
does: one parameter `_` that holds JSON. A `frontend` publishes the address of each site, in one connection parameter; the
root publishes that address to the site.
"""

import json
import sys

import slapos.slap

FRONTENDS = ("frontend-1", "frontend-2", "frontend-3")

url, computer_id, partition_id, release, key, certificate = sys.argv[1:]
slap = slapos.slap.slap()
slap.initializeConnection(url, key or None, certificate or None)
partition = slap.registerComputerPartition(computer_id, partition_id)
parameters = partition.getInstanceParameterDict()

if parameters["slap_software_type"] == "frontend":
    told = json.loads(parameters["_"])
    addresses = {site["reference"]: f"https://{site['domain']}/ by {told['name']}" for site in told["sites"]}
    partition.setConnectionDict({"_": json.dumps(addresses)})
else:
    sites = [{"reference": site["slave_reference"], "domain": site["domain"], "backend": site["backend"]}
             for site in parameters["slave_instance_list"]]
    answers = []
    for name in FRONTENDS:
        asked = partition.request(release, "frontend", name, partition_parameter_kw={
            "_": json.dumps({"name": name, "sites": sites})})
        answers.append(json.loads(asked.getConnectionParameterDict().get("_", "{}")))
    for site in sites:
        addresses = [answer[site["reference"]] for answer in answers if site["reference"] in answer]
        if len(addresses) == len(FRONTENDS):
            partition.setConnectionDict({"address": " ".join(addresses)}, site["reference"])
