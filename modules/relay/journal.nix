# The journal of the whole host, in memory and short: what is not kept cannot be found, and an SD card is spared.
_: {
  journal = {
    Storage = "volatile";
    MaxRetentionSec = "3day";
  };
}
