# Dovecot that announces new mail to an IDLE client at once.
#
# Stock Dovecot waits 500 ms (NOTIFY_DELAY_MSECS, not configurable) after a delivery before it
# announces the message to IDLE clients, so that a burst of changes is announced once. In a chat this
# wait is most of the delivery time. There is no wait for a hibernated client. But a conversation
# keeps clients awake: every message within the hibernation timeout of the last one is delayed.
#
# Measured with Debian's builds (amd64, two cores) and an awake client: 50 messages 200 ms apart, from
# LMTP's 250 to EXISTS; median and maximum:
#
#                 500 ms          10 ms
#     2.4.1       208, 500 ms     9.7, 10.2 ms
#     2.4.5       209, 500 ms     9.6, 10.0 ms
#
# (In this series stock Dovecot announces two or three messages together. A single message waits
# 500 ms.)
#
# Hibernation makes it worse. If the client hibernates during the wait, the announcement is dropped,
# and the client learns of that message only with the next one. Stock 2.4.1 and 2.4.5 with
# imap_hibernate_timeout = 1s lost each of five messages delivered 0.55 to 0.98 s after IDLE in this
# way. With 10 ms it happens only in the last 10 to 15 ms before hibernation. The gap is smaller, but
# still there.
#
# The price: the operator compiles Dovecot instead of using the binary cache, and plugins from other
# packages must be built against this Dovecot. The constants of the same name in imapc and
# mailbox-list-index-notify.c are unchanged, because they do not delay IDLE on a local mailbox.
#
# This is a function that takes the Dovecot to change, not an overlay, so nothing else on the host is
# rebuilt.
{
  dovecot,
  # milliseconds; the container tests read the same file
  notifyDelayMs ? builtins.fromJSON (builtins.readFile ./notify-delay-ms),
}:

dovecot.overrideAttrs (previous: {
  postPatch = (previous.postPatch or "") + ''
    substituteInPlace src/lib-storage/mailbox-watch.c \
      --replace-fail '#define NOTIFY_DELAY_MSECS 500' '#define NOTIFY_DELAY_MSECS ${toString notifyDelayMs}'
  '';
})
