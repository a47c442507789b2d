# Request limits per network. `http` declares their zones in that context; `new`, `delete` and `mail` are for locations.
{ perMinute }:
let
  # Clients show the reason in the body.
  limited = zone: burst: [
    "limit_req zone=${zone} burst=${toString burst} nodelay"
    "error_page 429 @too-many"
  ];
in
{
  http = import ./networks.nix ++ [
    "limit_req_status 429"
    "limit_req_zone $chatmail_network zone=chatmail_new:4m rate=${toString perMinute}r/m"
    # This must not be an easier place to guess passwords than others.
    "limit_req_zone $chatmail_network zone=chatmail_delete:4m rate=10r/m"
    "limit_conn_zone $chatmail_network zone=chatmail_mail:4m"
  ];

  new = limited "chatmail_new" (3 * perMinute);
  delete = limited "chatmail_delete" 10;
  # A fifth of the messages that chatmail-web accepts at once (mxdeliv.py, AT_ONCE). A relay with more mail falls back to SMTP.
  mail = [ "limit_conn chatmail_mail 20" ];
}
