package dns01

import (
	"context"
	"strings"
	"testing"
	"time"
)

// What a server refuses is said in words: where, what, why, what to do.
func TestRefusedUpdates(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	cases := []struct {
		name string
		edit func(*UpdateOptions)
		late time.Duration
		host string
		want []string
	}{
		{
			name: "unknown key", host: "www.example.test",
			edit: func(o *UpdateOptions) { o.Key = testKey(t, "other.", "hmac-sha256", k.Secret) },
			want: []string{"put TXT _acme-challenge.www.example.test. in the zone example.test. at " + k.Addr, "NOTAUTH", "does not know or allow the key other. (hmac-sha256)", "compare the key's name and algorithm"},
		},
		{
			name: "other algorithm", host: "www.example.test",
			edit: func(o *UpdateOptions) { o.Key = testKey(t, k.KeyName, "hmac-sha512", k.Secret) },
			want: []string{"NOTAUTH", "weir. (hmac-sha512)"},
		},
		{
			name: "other secret", host: "www.example.test",
			edit: func(o *UpdateOptions) {
				o.Key = testKey(t, k.KeyName, k.Algorithm, "YW5vdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMgb3Igc28=")
			},
			want: []string{"NOTAUTH, BADSIG", "the secret of the key weir. (hmac-sha256) is not the server's"},
		},
		{name: "clock ahead", host: "www.example.test", late: -time.Hour, want: []string{"NOTAUTH, BADTIME", "the server's clock is 1h0m", "ahead of this machine's", "set the clocks right"}},
		{name: "clock behind", host: "www.example.test", late: 365 * 24 * time.Hour, want: []string{"the server's clock is 8760h0m", "behind this machine's"}},
		{name: "clock years behind", host: "www.example.test", late: 30 * 365 * 24 * time.Hour, want: []string{"more than a year behind"}},
		{name: "closed zone", host: "www.closed.test", want: []string{"in the zone closed.test.", "NOTAUTH: the server is not the primary of closed.test., or does not know or allow the key weir."}},
		{name: "no such zone", host: "www.example.test", edit: func(o *UpdateOptions) { o.Zone = "test" }, want: []string{"NOTAUTH: the server is not the primary of test."}},
		{name: "name outside of the zone", host: "www.acme.test", edit: func(o *UpdateOptions) { o.Zone = "example.test" }, want: []string{"_acme-challenge.www.acme.test. does not lie in the zone example.test.; correct the zone"}},
		{name: "alias outside of the zone", host: "alias.example.test", edit: func(o *UpdateOptions) { o.Zone = "example.test" }, want: []string{"_acme-challenge.alias.example.test. leads to alias.acme.test., which does not lie in the zone"}},
		{name: "loop", host: "loop.example.test", want: []string{"a loop"}},
		{name: "unknown zone", host: "www.nowhere.test", want: []string{"ask the resolver " + k.Addr + " for SOA of _acme-challenge.www.nowhere.test.: REFUSED"}},
		{name: "no host", host: "www example.test", want: []string{"put the challenge's record: ", "is no host name"}},
	}
	for _, c := range cases {
		u := newUpdater(t, k, c.edit)
		u.now = func() time.Time { return time.Now().Add(c.late) }
		err := u.Present(long(t), Record{c.host, "v"})
		wantError(t, c.name, err, c.want...)
		if err != nil && (strings.Contains(err.Error(), k.Secret) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %q shows the secret or has two lines", c.name, err)
		}
	}
}

func wantError(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q does not say %q", what, err, w)
		}
	}
}

func TestServerIsDead(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	u := newUpdater(t, k, nil)
	k.Stop()
	err := u.Present(long(t), Record{"www.example.test", "v"})
	wantError(t, "dead", err, "put TXT _acme-challenge.www.example.test. at "+k.Addr, "connection refused")
	// It comes back while somebody tries.
	done := make(chan error, 1)
	go func() {
		done <- retry(long(t), func() error { return u.Present(long(t), Record{"www.example.test", "v"}) })
	}()
	k.Start()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func retry(ctx context.Context, f func() error) error {
	for {
		if err := f(); err == nil || ctx.Err() != nil {
			return err
		}
	}
}
