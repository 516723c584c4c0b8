package hapctl

import (
	"errors"
	"net/netip"
	"testing"
)

func TestSourcesThatTheMachineHas(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"127.0.0.1", "127.99.1.2", "::ffff:127.0.0.1"} {
		if err := TestSource(netip.MustParseAddr(a)); err != nil {
			t.Error(err)
		}
	}
	for _, a := range []string{"192.0.2.1", "2001:db8::1", "203.0.113.9"} {
		if err := TestSource(netip.MustParseAddr(a)); !errors.Is(err, ErrNoAddress) {
			t.Errorf("%s: %v", a, err)
		}
		// As if the kernel let programs take any address.
		if local, err := isLocal(netip.MustParseAddr(a)); err != nil || local {
			t.Errorf("%s: local %v, %v", a, local, err)
		}
	}
	if local, err := isLocal(netip.MustParseAddr("127.3.4.5")); err != nil || !local {
		t.Errorf("local %v, %v", local, err)
	}
}
