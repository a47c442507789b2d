"""
Boots whole relays in Debian containers and gives tests a client's view of them.

`harness.lab.Lab` is the door for tests, `tests/lab` the one for people; README.md beside this
package explains both.
"""
