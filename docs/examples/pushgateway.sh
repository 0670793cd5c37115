#!/bin/sh
# What a batch job does with a Pushgateway works here unchanged.
cat <<END | curl --fail --data-binary @- http://127.0.0.1:9201/metrics/job/backup/instance/db1
# TYPE backup_last_success_timestamp_seconds gauge
backup_last_success_timestamp_seconds $(date +%s)
END
