# Dovecot that tells an IDLE client of new mail at once.
#
# Stock Dovecot waits 500 ms (NOTIFY_DELAY_MSECS, no setting) between noticing a delivery and telling
# the clients that idle on the mailbox, so that a burst of changes is announced once. For a chat the
# wait is most of a message's way. Hibernated clients do not wait, but a conversation is held awake:
# every message within the hibernation timeout of the last one pays.
#
# Measured on Debian's builds (amd64, two cores), awake client, 50 messages 200 ms apart, from LMTP's
# 250 to EXISTS; median and slowest:
#
#                 500 ms          10 ms
#     2.4.1       208, 500 ms     9.7, 10.2 ms
#     2.4.5       209, 500 ms     9.6, 10.0 ms
#
# (In such a row stock Dovecot announces two or three messages together; a single one waits 500 ms.)
#
# Hibernation makes it worse: an announcement that still waits when the client hibernates is dropped,
# and the client hears of that message only with the next one. Stock 2.4.1 and 2.4.5 with
# imap_hibernate_timeout = 1s did so to each of five messages delivered 0.55 to 0.98 s after IDLE. With
# 10 ms it happens in the last 10 to 15 ms before hibernation: a smaller gap, not a closed one.
#
# The price: Dovecot is compiled by the operator instead of coming from the binary cache, and plugins
# from other packages must be built against this one. The constants of the same name in imapc and
# mailbox-list-index-notify.c stay: an IDLE client on a local mailbox waits for neither.
#
# A function of the Dovecot to change and no overlay: nothing else on the host is rebuilt.
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
