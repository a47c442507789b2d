// A relay with a certificate of its own gives a new login to each visitor; the link makes clients accept the certificate.
const token = new URLSearchParams(location.search).get("t");
const button = document.getElementById("login");

// By invitation the button is for those who came by an invite.
const invited = document.getElementById("invited");
if (invited && token) {
  invited.hidden = false;
  document.getElementById("uninvited").hidden = true;
}

button.addEventListener("click", async (event) => {
  // The second time it is the login that the first time gave.
  if (button.protocol === "dclogin:") return;
  event.preventDefault();
  const answer = await fetch(token ? `/new?t=${encodeURIComponent(token)}` : "/new", { method: "POST" });
  const login = await answer.json();
  if (answer.ok) {
    button.href = login.dclogin_url;
    location.href = login.dclogin_url;
  } else {
    button.textContent = login.reason;
  }
});
