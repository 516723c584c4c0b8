package dns01

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestAnswersToUpdates(t *testing.T) {
	t.Parallel()
	code := func(rcode int) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte { return packed(new(dns.Msg).SetRcode(q, rcode)) }
	}
	signature := func(name, algorithm string, code uint16, other string) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetRcode(q, dns.RcodeNotAuth)
			m.Extra = []dns.RR{&dns.TSIG{
				Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: algorithm,
				TimeSigned: q.IsTsig().TimeSigned, Fudge: 300, OrigId: q.Id, Error: code, OtherLen: uint16(len(other) / 2), OtherData: other,
			}}
			return packed(m)
		}
	}
	// signed says that it is done, signed with a key.
	signed := func(name, algorithm, secret string, edit func(*dns.Msg)) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.SetTsig(name, algorithm, 300, time.Now().Unix())
			if edit != nil {
				edit(m)
			}
			raw, _, err := dns.TsigGenerate(m, secret, q.IsTsig().MAC, false)
			if err != nil {
				return nil
			}
			return [][]byte{raw}
		}
	}
	cases := []struct {
		name   string
		update func(*dns.Msg) [][]byte
		want   []string // no error when empty
	}{
		{"done", signed("weir.", dns.HmacSHA256, fakeSecret, nil), nil},
		{"done, without the zone", signed("weir.", dns.HmacSHA256, fakeSecret, func(m *dns.Msg) { m.Question = nil }), nil},
		{"unsigned", code(dns.RcodeSuccess), []string{"the server says it is done, but can't be believed: the answer is not signed"}},
		{"another secret", signed("weir.", dns.HmacSHA256, "c2VjcmV0", nil), []string{"can't be believed", "signature does not fit"}},
		{"another key", signed("other.", dns.HmacSHA256, fakeSecret, nil), []string{"signed with another key, other. (hmac-sha256)"}},
		{"another algorithm", signed("weir.", dns.HmacSHA1, fakeSecret, nil), []string{"signed with another key, weir. (hmac-sha1)"}},
		{"signed long ago", signed("weir.", dns.HmacSHA256, fakeSecret, func(m *dns.Msg) { m.IsTsig().TimeSigned -= 3600 }), []string{"can't be believed"}},
		{"FORMERR", code(dns.RcodeFormatError), []string{"in the zone example.test.", "FORMERR: the server can't read the update"}},
		{"SERVFAIL", code(dns.RcodeServerFailure), []string{"SERVFAIL: the server can't do it now; its log says why"}},
		{"NOTIMP", code(dns.RcodeNotImplemented), []string{"NOTIMP: the server takes no dynamic updates"}},
		{"REFUSED", code(dns.RcodeRefused), []string{"REFUSED: the server forbids it; allow the key weir. (hmac-sha256)"}},
		{"NOTAUTH", code(dns.RcodeNotAuth), []string{"NOTAUTH: the server is not the primary of example.test."}},
		{"NOTZONE", code(dns.RcodeNotZone), []string{"NOTZONE: the name does not lie in example.test."}},
		{"YXRRSET", code(dns.RcodeYXRrset), []string{"YXRRSET: the server refused the update"}},
		{"unknown code", code(14), []string{"RCODE14: the server refused"}},
		{"BADKEY", signature("weir.", dns.HmacSHA256, dns.RcodeBadKey, ""), []string{"NOTAUTH, BADKEY: the server does not know the key weir. (hmac-sha256)"}},
		{"BADSIG", signature("weir.", dns.HmacSHA256, dns.RcodeBadSig, ""), []string{"NOTAUTH, BADSIG"}},
		{"BADTRUNC", signature("weir.", dns.HmacSHA256, dns.RcodeBadTrunc, ""), []string{"NOTAUTH, BADTRUNC"}},
		{"BADTIME", signature("weir.", dns.HmacSHA256, dns.RcodeBadTime, hex.EncodeToString([]byte{0, 0, 0, 0, 0, 1})), []string{"BADTIME: the server's clock is more than a year behind"}},
		{"BADTIME without one", signature("weir.", dns.HmacSHA256, dns.RcodeBadTime, ""), []string{"BADTIME: the clocks of the server and of this machine differ by more than 300 s"}},
		{"TSIG error 99", signature("weir.", dns.HmacSHA256, 99, ""), []string{"TSIG error 99"}},
		{"garbage", func(*dns.Msg) [][]byte { return [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")} }, []string{"what came back is no answer to what was asked"}},
		{"nothing", func(*dns.Msg) [][]byte { return [][]byte{{}} }, []string{"what came back is no answer"}},
		{"the question", func(q *dns.Msg) [][]byte { return packed(q) }, []string{"what came back is no answer"}},
		{"another id", func(q *dns.Msg) [][]byte { m := new(dns.Msg).SetReply(q); m.Id++; return packed(m) }, []string{"no answer to what was asked: another message"}},
		{"another zone", func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.Question[0].Name = "other.test."
			return packed(m)
		}, []string{"it is about something else"}},
		{"the end", func(*dns.Msg) [][]byte { return nil }, []string{"the server ended the connection without an answer"}},
	}
	err := each(len(cases), func(i int) error {
		c := cases[i]
		f := startFake(t, ofZone(c.update))
		err := fakeUpdater(t, f.addr, nil).Present(long(t), Record{"www.example.test", "v"})
		if len(c.want) == 0 {
			return err
		}
		wantError(t, c.name, err, append(c.want, "put TXT _acme-challenge.www.example.test.", " at "+f.addr)...)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What goes better a moment later is tried again.
func TestUpdatesAreTriedAgain(t *testing.T) {
	t.Parallel()
	updates := make(chan int, 1)
	updates <- 0
	f := startFake(t, ofZone(func(q *dns.Msg) [][]byte {
		n := <-updates + 1
		updates <- n
		switch n {
		case 1:
			return packed(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		case 2:
			return nil
		}
		m := new(dns.Msg).SetReply(q)
		m.SetTsig("weir.", dns.HmacSHA256, 300, time.Now().Unix())
		raw, _, _ := dns.TsigGenerate(m, fakeSecret, q.IsTsig().MAC, false)
		return [][]byte{raw}
	}))
	if err := fakeUpdater(t, f.addr, nil).Present(long(t), Record{"www.example.test", "v"}); err != nil {
		t.Error(err)
	}
	if n := <-updates; n != 3 {
		t.Errorf("%d updates were sent, want 3", n)
	}
}
