# A daemon comes back at once after a first fault and, if it goes on failing, ever more slowly, but for ever (systemd.service(5)).
{
  Restart = "always";
  RestartSec = "100ms";
  RestartSteps = 8;
  RestartMaxDelaySec = "30s";
}
