"""The origin whose pages the tests' configuration trusts, as a header for requests that need one."""

TRUSTED = "https://app.example.com"
OWN_PAGE = ("origin", TRUSTED.encode())
