# The journal of the whole host is kept in memory, and for a short time. This protects users and spares SD cards.
_: {
  journal = {
    Storage = "volatile";
    MaxRetentionSec = "3day";
  };
}
