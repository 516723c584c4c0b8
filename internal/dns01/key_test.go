package dns01

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0LW9mLTE2LWJ5dGVzLW9yLXNv"
	for _, c := range []struct{ name, algorithm, secret, want string }{
		{"weir.", "hmac-sha256", secret, ""},
		{"Weir", "HMAC-SHA512.", " c2VjcmV0LW9mLTE2LWJ5\ndGVzLW9yLXNv\n", ""},
		{"", "hmac-sha256", secret, "no name of a key"},
		{".", "hmac-sha256", secret, "no name of a key"},
		{"a\x1bb", "hmac-sha256", secret, "no name of a key"},
		{"weir.", "hmac-md5.sig-alg.reg.int.", secret, "hmac-md5.sig-alg.reg.int is refused, since MD5 and SHA-1 are broken"},
		{"weir.", "hmac-sha1", secret, "make a key with hmac-sha256"},
		{"weir.", "hmac-sha224", secret, "take one of hmac-sha256, hmac-sha384, hmac-sha512"},
		{"weir.", "", secret, "is not known"},
		{"weir.", "hmac-sha256", "not*base64*at*all*really", "is not base64"},
		{"weir.", "hmac-sha256", "c2hvcnQ=", "has 5 bytes, at least 16"},
		{"weir.", "hmac-sha256", "", "has 0 bytes"},
	} {
		_, err := NewKey(c.name, c.algorithm, c.secret)
		if c.want == "" {
			if err != nil {
				t.Errorf("%q %q: %v", c.name, c.algorithm, err)
			}
			continue
		}
		wantError(t, c.want, err, "read the key", c.want)
		if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("%q shows the secret", err)
		}
	}
}

func TestKeysShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0LW9mLTE2LWJ5dGVzLW9yLXNv"
	key := testKey(t, "weir", "hmac-sha256", secret)
	o := UpdateOptions{Server: "192.0.2.1", Key: key}
	u, err := NewUpdater(o)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key, "options", o)
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %d|%v %+v %#v|%+v %#v|%s|%s", key, key, key, key, key, key, key, o, o, o, u, u, log.String(), text)
	if strings.Contains(shown, secret) || strings.Contains(shown, "secret-of") || strings.Contains(shown, fmt.Sprintf("%x", secret)) || !strings.Contains(shown, "weir. (hmac-sha256)") {
		t.Errorf("shown: %s", shown)
	}
}

func TestUpdateOptions(t *testing.T) {
	t.Parallel()
	key := testKey(t, "weir", "hmac-sha256", "c2VjcmV0LW9mLTE2LWJ5dGVzLW9yLXNv")
	for _, c := range []struct {
		name string
		o    UpdateOptions
		want string
	}{
		{"server's name", UpdateOptions{Server: "ns1.example.com", Key: key}, ""},
		{"IPv6", UpdateOptions{Server: "2001:db8::1", Key: key}, ""},
		{"IPv6 with a port", UpdateOptions{Server: "[2001:db8::1]:5353", Key: key, Zone: "example.com", TTL: time.Minute}, ""},
		{"no server", UpdateOptions{Key: key}, "is no server; write ns1.example.com, 192.0.2.1:53"},
		{"no host", UpdateOptions{Server: ":53", Key: key}, "is no server"},
		{"URL", UpdateOptions{Server: "https://ns1.example.com", Key: key}, "read the server for updates"},
		{"port 0", UpdateOptions{Server: "ns1.example.com:0", Key: key}, "no port of 1 to 65535"},
		{"port of words", UpdateOptions{Server: "ns1.example.com:dns", Key: key}, "no port"},
		{"no key", UpdateOptions{Server: "192.0.2.1"}, "updates are always signed"},
		{"the root", UpdateOptions{Server: "192.0.2.1", Key: key, Zone: "."}, "is no zone's name"},
		{"a zone of blanks", UpdateOptions{Server: "192.0.2.1", Key: key, Zone: "a\nb"}, "is no zone's name"},
		{"TTL", UpdateOptions{Server: "192.0.2.1", Key: key, TTL: time.Millisecond}, "is not 1s to 1h"},
		{"resolver", UpdateOptions{Server: "192.0.2.1", Key: key, Proof: Proof{Resolvers: []string{"x y"}}}, "read the resolvers"},
		{"witness", UpdateOptions{Server: "192.0.2.1", Key: key, Proof: Proof{Servers: []string{"192.0.2.1", "/"}}}, "read the servers"},
	} {
		_, err := NewUpdater(c.o)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if c.want != "" {
			wantError(t, c.name, err, c.want)
		}
	}
}
