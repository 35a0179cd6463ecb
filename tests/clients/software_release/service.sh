#!/bin/sh
# The instance's service: says that it ran, then stays.
echo started >> worker.log
exec sleep 100000
