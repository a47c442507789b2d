# When somebody should look at a relay: Prometheus' alerting rules, about what does not mend itself.
let
  alert =
    name: severity: wait: expr: summary:
    {
      alert = "Chatmail${name}";
      inherit expr;
      "for" = wait;
      labels = { inherit severity; };
      annotations.summary = "{{ $labels.instance }}: ${summary}";
    };
in
[
  (alert "Unreachable" "critical" "10m" ''up{job="chatmail"} == 0''
    "the relay's numbers cannot be had"
  )
  # While the filter is down, mail waits at its senders.
  (alert "ServiceDown" "critical" "5m" "chatmail_service_up == 0"
    "{{ $labels.service }} does not answer"
  )
  # It is renewed 30 days before its end.
  (alert "CertificateExpires" "critical" "1h"
    "chatmail_certificate_expiry_timestamp_seconds - time() < 14 * 86400"
    "the certificate that {{ $labels.service }} shows expires in {{ $value | humanizeDuration }}"
  )
  (alert "QueueGrows" "warning" "1h"
    ''chatmail_queue_messages{queue="deferred"} > 100 and deriv(chatmail_queue_messages{queue="deferred"}[2h]) > 0''
    "{{ $value }} messages wait for other servers, and more every hour"
  )
  (alert "DiskFull" "critical" "15m" "chatmail_disk_free_bytes / chatmail_disk_size_bytes < 0.1"
    "{{ $value | humanizePercentage }} of the disk of the mailboxes is free"
  )
  (alert "ExpiryFailed" "warning" "1h" "chatmail_expiry_last_run_failed == 1"
    "the last night was not done with everything: journalctl -u chatmail-expire"
  )
  # Two days, and the third that it may take until a new relay has had its first night.
  (alert "ExpiryMissing" "warning" "26h" "time() - chatmail_expiry_last_run_timestamp_seconds > 2 * 86400"
    "nothing has expired for three days: journalctl -u chatmail-expire"
  )
  (alert "PushFails" "warning" "15m"
    ''chatmail_push_oldest_seconds > 1800 or increase(chatmail_push_total{outcome="given-up"}[1h]) > 0''
    "the push proxy does not take notifications"
  )
]
