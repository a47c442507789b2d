// A relay with a certificate of its own gives a new login to each visitor; the link makes clients accept the certificate.
document.getElementById("login").addEventListener("click", async (event) => {
  event.preventDefault();
  const button = event.currentTarget;
  const answer = await fetch("/new", { method: "POST" });
  const login = await answer.json();
  if (answer.ok) {
    location.href = login.dclogin_url;
  } else {
    button.textContent = login.reason;
  }
});
