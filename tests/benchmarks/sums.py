"""DuckDB beside `bench rebuild`: `write CSV PARQUET` makes the file, `sum PARQUET` adds it up by instance, resource and hour, and
prints rows, groups and nanoseconds; `version` prints which DuckDB it is."""

import json
import sys
import time

import duckdb

COLUMNS = {"reporter": "varchar", "subject": "varchar", "resource": "varchar", "quantity": "decimal(18,9)",
           "start": "timestamptz", "stop": "timestamptz"}
SUM = """select count(*), sum(n) from (select count(*) n, sum(quantity) from read_parquet(?)
    group by reporter, subject, resource, epoch_us(start) // 3600000000)"""

match sys.argv[1:]:
    case ["version"]:
        print(duckdb.__version__)
    case ["write", csv, parquet]:
        duckdb.read_csv(csv, header=False, columns=COLUMNS).write_parquet(parquet, compression="zstd")
    case ["sum", parquet]:
        database = duckdb.connect()
        database.sql("set threads = 2")
        began = time.perf_counter_ns()
        groups, rows = database.execute(SUM, [parquet]).fetchone()
        print(json.dumps([int(rows), groups, time.perf_counter_ns() - began]))
    case _:
        sys.exit(__doc__)
