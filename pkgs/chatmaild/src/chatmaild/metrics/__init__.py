"""chatmail-metrics: what the daemons count, as text for Prometheus."""
