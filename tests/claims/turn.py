"""`python tests/claims/turn.py` turns each verdict round; every claim's test has to fail then."""

import sys

from page import all_claims


def main():
    claims = all_claims()
    bad = 0
    for claim in claims:
        found = claim.survivors()
        bad += bool(found)
        print(f"{'SURVIVES' if found else 'fails'}  {claim.name}: {claim.verdict}, turned {len(claim.turned())} ways")
    print(f"{len(claims)} claims turned round, {bad} survive")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
