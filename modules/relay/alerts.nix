# Prometheus alerting rules for conditions that an operator has to look at, because they do not recover by themselves.
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
    "metrics cannot be scraped"
  )
  # While the filter is down, senders keep their mail in their queues.
  (alert "ServiceDown" "critical" "5m" "chatmail_service_up == 0"
    "{{ $labels.service }} does not respond"
  )
  # Certificates are renewed 30 days before they expire.
  (alert "CertificateExpires" "critical" "1h"
    "chatmail_certificate_expiry_timestamp_seconds - time() < 14 * 86400"
    "the certificate of {{ $labels.service }} expires in {{ $value | humanizeDuration }}"
  )
  (alert "QueueGrows" "warning" "1h"
    ''chatmail_queue_messages{queue="deferred"} > 100 and deriv(chatmail_queue_messages{queue="deferred"}[2h]) > 0''
    "{{ $value }} messages are deferred, and the queue is growing"
  )
  (alert "DiskFull" "critical" "15m" "chatmail_disk_free_bytes / chatmail_disk_size_bytes < 0.1"
    "only {{ $value | humanizePercentage }} of the mailbox disk is free"
  )
  (alert "ExpiryFailed" "warning" "1h" "chatmail_expiry_last_run_failed == 1"
    "the last nightly expiry did not finish: see journalctl -u chatmail-expire"
  )
  # Two days, plus up to one more day until the first nightly run of a new relay.
  (alert "ExpiryMissing" "warning" "26h" "time() - chatmail_expiry_last_run_timestamp_seconds > 2 * 86400"
    "the nightly expiry has not run for three days: see journalctl -u chatmail-expire"
  )
  (alert "PushFails" "warning" "15m"
    ''chatmail_push_oldest_seconds > 1800 or increase(chatmail_push_total{outcome="given-up"}[1h]) > 0''
    "the push proxy does not accept notifications"
  )
]
