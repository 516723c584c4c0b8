package secrets

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const canary = "canary-8c1f"

// shows tells whether text holds the canary as text, in hexadecimal or as Go prints bytes.
func shows(text string) bool {
	return strings.Contains(text, canary) ||
		strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", canary)) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(canary)), "[]")) ||
		strings.Contains(text, "0x63, 0x61")
}

func TestShowsFindsTheCanary(t *testing.T) {
	for _, verb := range []string{"%s", "%x", "%X", "%v", "%d", "%#v"} {
		if text := fmt.Sprintf(verb, []byte(canary)); !shows(text) {
			t.Errorf("shows(%q) = false", text)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	type holder struct {
		Shown  Secret
		hidden Secret
	}
	s := NewSecret([]byte(canary))
	h := holder{s, s}
	values := []any{s, &s, h, &h, []Secret{s}, map[string]Secret{"a": s}, []any{h}, struct{ x any }{s}, fmt.Errorf("bad: %v", s)}
	for _, v := range values {
		for _, verb := range strings.Fields("%v %+v %#v %s %q %x %X %d %o %b %c %U %e %t %p %w %10.3s %T") {
			if text := fmt.Sprintf(verb, v); shows(text) {
				t.Errorf("%s of %T shows the secret: %s", verb, v, text)
			}
		}
		if text := fmt.Sprintln(v); shows(text) {
			t.Errorf("Println of %T shows the secret: %s", v, text)
		}
	}
	if got := fmt.Sprintf("%s %v %d", s, s, s); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
}

func TestSecretIsNotLoggedOrEncoded(t *testing.T) {
	s := NewSecret([]byte(canary))
	v := struct{ A Secret }{s}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "p", &s, "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "p", &s, "v", v)
	j, err := json.Marshal(v)
	if err != nil || string(j) != `{"A":"[redacted]"}` {
		t.Errorf("JSON: %s, %v", j, err)
	}
	y, err := yaml.Marshal(v)
	if err != nil || !strings.Contains(string(y), redacted) {
		t.Errorf("YAML: %s, %v", y, err)
	}
	if all := out.String() + string(j) + string(y); shows(all) {
		t.Errorf("the secret is in %s", all)
	}
	if err := gob.NewEncoder(&out).Encode(v); err == nil {
		t.Error("gob encodes a secret")
	}
}

func TestSecretReveals(t *testing.T) {
	b := []byte(canary)
	s := NewSecret(b)
	b[0] = 'X'
	s.Bytes()[0] = 'X'
	if s.Text() != canary || s.Len() != len(canary) || s.IsZero() || !(Secret{}).IsZero() {
		t.Errorf("revealed %q", s.Text())
	}
	if !reflect.DeepEqual(s, NewSecret([]byte(canary))) || reflect.DeepEqual(s, NewSecret(nil)) {
		t.Error("reflect.DeepEqual is wrong")
	}
	if !s.Equal(NewSecret([]byte(canary))) || s.Equal(NewSecret([]byte("canary-8c1e"))) || s.Equal(Secret{}) {
		t.Error("Equal is wrong")
	}
	var in struct{ A Secret }
	if err := json.Unmarshal([]byte(`{"A":"x\ny"}`), &in); err != nil || in.A.Text() != "x\ny" {
		t.Errorf("read %q, %v", in.A.Text(), err)
	}
	if err := json.Unmarshal([]byte(`{"A":"[redacted]"}`), &in); err == nil {
		t.Error(`"[redacted]" was taken for a value`)
	}
}
