package api

import (
	"testing"

	"weir"
)

// FuzzRegistrationBodies: what strangers and registrants send is taken as it is meant, or refused as invalid.
func FuzzRegistrationBodies(f *testing.F) {
	for _, seed := range []string{`{"name": "web-1", "csr": "x"}`, `{"state": "healthy", "ports": {"http": 80}, "weight": 7}`, "state: draining\nlabels: {a: b}", `{"state": "healthy"} x`, "&a [*a]", "\x00"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, asJSON bool) {
		var exchange ExchangeRequest
		if err := new(call).small(text, asJSON, &exchange); err != nil && weir.KindOf(err) != weir.Invalid {
			t.Errorf("%v", err)
		}
		var said weir.Announcement
		err := new(call).small(text, asJSON, &said)
		if err == nil {
			problems := &weir.Problems{}
			said.Validate(problems)
			err = problems.Err()
		}
		if err != nil && weir.KindOf(err) != weir.Invalid {
			t.Errorf("%v", err)
		}
		if err == nil && said.State != weir.RegistrationHealthy && said.State != weir.RegistrationDraining && said.State != weir.RegistrationWithdrawn {
			t.Errorf("state %q was taken", said.State)
		}
	})
}
