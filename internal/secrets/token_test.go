package secrets

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

var testCAHash = hashPrefix + strings.Repeat("0f", 32)

func TestToken(t *testing.T) {
	text, hash := NewToken("admin")
	if !regexp.MustCompile("^" + TokenPattern + "$").MatchString(text) {
		t.Errorf("%s does not match the pattern", text)
	}
	if got, err := HashToken(text); err != nil || got != hash || !strings.HasPrefix(hash, hashPrefix) || len(hash) != 71 {
		t.Errorf("hash %s, then %s, %v", hash, got, err)
	}
	if kind, err := TokenKind(text); kind != "admin" || err != nil {
		t.Errorf("kind %s, %v", kind, err)
	}
	other, otherHash := NewToken("admin")
	if !VerifyToken(text, hash) || VerifyToken(other, hash) || VerifyToken(text, otherHash) || VerifyToken("", "") || VerifyToken(text, "") {
		t.Error("VerifyToken is wrong")
	}
	// What people make of it when they type it.
	typed := strings.NewReplacer("0", "O", "1", "l").Replace(strings.TrimPrefix(text, "weir_admin_"))
	for _, same := range []string{" " + text + "\n", strings.ToUpper(text), "weir_admin_" + typed} {
		if !VerifyToken(same, hash) {
			t.Errorf("%q is not taken for %s", same, text)
		}
	}
}

func TestTokenKnowsTypos(t *testing.T) {
	for _, make := range []func() string{
		func() string { text, _ := NewToken("user"); return text },
		func() string { text, _, _ := NewJoinToken(testCAHash); return text },
	} {
		text := make()
		for i := range len(text) {
			for _, c := range digits + "_u!\x00é" {
				bad := text[:i] + string(c) + text[i+1:]
				if bad == text {
					continue
				}
				if _, err := HashToken(bad); !errors.Is(err, ErrNotToken) {
					t.Fatalf("%q instead of %q: %v", bad, text, err)
				} else if strings.Contains(err.Error(), bad[12:30]) {
					t.Fatalf("the error shows the token: %v", err)
				}
			}
			if _, err := HashToken(text[:i]); err == nil {
				t.Fatalf("cut to %d: taken", i)
			}
			if i > 0 && text[i] != text[i-1] {
				swapped := text[:i-1] + text[i:i+1] + text[i-1:i] + text[i+1:]
				if _, err := HashToken(swapped); err == nil {
					t.Fatalf("swapped at %d: taken", i)
				}
			}
		}
	}
}

func TestNewTokenRefusesKinds(t *testing.T) {
	for _, kind := range []string{"", "Admin", "a_b", "1a", "a-b", strings.Repeat("a", 17)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("kind %q was taken", kind)
				}
			}()
			NewToken(kind)
		}()
	}
}

func TestJoinToken(t *testing.T) {
	text, hash, err := NewJoinToken(strings.ToUpper(testCAHash[7:15]) + "")
	if err == nil {
		t.Errorf("made %s %s of half a hash", text, hash)
	}
	text, hash, err = NewJoinToken(testCAHash)
	if err != nil {
		t.Fatal(err)
	}
	secret, ca, err := ParseJoinToken(text)
	if err != nil || ca != testCAHash || !VerifyToken(secret, hash) || !VerifyToken(text, hash) {
		t.Errorf("%s: %s, %s, %v", text, secret, ca, err)
	}
	if !regexp.MustCompile("^" + TokenPattern + "$").MatchString(text) {
		t.Errorf("%s does not match the pattern", text)
	}
	user, _ := NewToken("user")
	for _, bad := range []string{"", secret, user, text[:len(text)-1], text + "0"} {
		if _, _, err := ParseJoinToken(bad); !errors.Is(err, ErrNotToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRedactTokens(t *testing.T) {
	text, _ := NewToken("user")
	join, _, _ := NewJoinToken(testCAHash)
	got := RedactTokens("a " + text + ", " + strings.ToUpper(join) + " and weir_user_")
	if got != "a weir_user_[redacted], WEIR_JOIN_[redacted] and weir_user_" {
		t.Error(got)
	}
}

func TestBase32(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		got, err := decode32(encode32(data))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%x came back as %x, %v", data, got, err)
		}
	}
	for _, bad := range []string{"u0", "0", "01", "000", "zz!"} {
		if got, err := decode32(bad); err == nil {
			t.Errorf("%q gave %x", bad, got)
		}
	}
}

func FuzzParseJoinToken(f *testing.F) {
	text, _, _ := NewJoinToken(testCAHash)
	f.Add(text)
	f.Add(strings.ToUpper(text))
	user, _ := NewToken("user")
	f.Add(user)
	f.Fuzz(func(t *testing.T, text string) {
		secret, ca, err := ParseJoinToken(text)
		if err != nil {
			if secret != "" || ca != "" || !errors.Is(err, ErrNotToken) {
				t.Fatalf("%q: %q, %q, %v", text, secret, ca, err)
			}
			return
		}
		if _, err := CheckCAHash(ca); err != nil {
			t.Fatal(err)
		}
		a, err1 := HashToken(text)
		b, err2 := HashToken(secret)
		if err1 != nil || err2 != nil || a != b {
			t.Fatalf("%q: %v %v, %v %v", text, a, b, err1, err2)
		}
	})
}
