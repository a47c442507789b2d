# How many requests one network may make: `http` declares it for that context, `new`, `delete` and `mail` are for locations.
{ perMinute }:
let
  # The client shows the reason.
  limited = zone: burst: [
    "limit_req zone=${zone} burst=${toString burst} nodelay"
    "error_page 429 @too-many"
  ];
in
{
  http = import ./networks.nix ++ [
    "limit_req_status 429"
    "limit_req_zone $chatmail_network zone=chatmail_new:4m rate=${toString perMinute}r/m"
    # Guessing a password here must be no easier than anywhere else.
    "limit_req_zone $chatmail_network zone=chatmail_delete:4m rate=10r/m"
    "limit_conn_zone $chatmail_network zone=chatmail_mail:4m"
  ];

  new = limited "chatmail_new" (3 * perMinute);
  delete = limited "chatmail_delete" 10;
  # A fifth of what chatmail-web takes at once (mxdeliv.py, AT_ONCE). A relay that has more to say falls back to SMTP.
  mail = [ "limit_conn chatmail_mail 20" ];
}
