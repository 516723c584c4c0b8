package bench

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"weir/internal/secrets"
)

// registrant is one server's end, as weir register has it: a connection with a certificate of its own, on which it says
// the same again and again. All of them are one process on the processors that are measured, so it does no more than it must.
type registrant struct {
	conn *tls.Conn
	says []byte
}

// registration is the answer to one.
type registration struct{ State, Lease, Heartbeat string }

// registrantCrowd is all of them, and what they have in common.
type registrantCrowd struct {
	base, host, ca, token string
	key                   *ecdsa.PrivateKey
	shared                *http.Transport // for tokens
	list                  []registrant
}

// runRegistrants registers all, says so with "registered HEARTBEAT LEASE" in nanoseconds, and keeps them alive.
func runRegistrants(spec string) error {
	words := strings.Fields(spec)
	if len(words) != 3 {
		return errors.New("want a URL, the hash of a CA and a token")
	}
	c := &registrantCrowd{base: words[0], ca: words[1], token: words[2], list: make([]registrant, registrants)}
	u, err := url.Parse(c.base)
	if err != nil {
		return err
	}
	c.host = u.Host
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	config, err := c.tls(nil)
	if err != nil {
		return err
	}
	c.shared = &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	said, err := c.register()
	if err != nil {
		return err
	}
	heartbeat, err := time.ParseDuration(said.Heartbeat)
	if err != nil {
		return err
	}
	lease, err := time.ParseDuration(said.Lease)
	if err != nil {
		return err
	}
	fmt.Printf("registered %d %d\n", heartbeat, lease)
	return c.keepAlive(heartbeat)
}

// inTurn does work for all registrants, some at once, until one fails.
func (c *registrantCrowd) inTurn(from <-chan int, work func(n int, r *bufio.Reader) error) error {
	errs := make(chan error, registrantsAhead)
	for range registrantsAhead {
		go func() {
			r := bufio.NewReader(nil)
			for n := range from {
				if err := work(n, r); err != nil {
					errs <- fmt.Errorf("server %d: %w", n, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range registrantsAhead {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// register registers all, and gives the last answer.
func (c *registrantCrowd) register() (last registration, err error) {
	turns := make(chan int)
	go func() {
		defer close(turns)
		for n := range c.list {
			turns <- n
		}
	}()
	var mu sync.Mutex
	return last, c.inTurn(turns, func(n int, r *bufio.Reader) error {
		if err := c.exchange(n); err != nil {
			return err
		}
		answer, err := c.list[n].say(r)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		return json.Unmarshal(answer, &last)
	})
}

// keepAlive has each of them say the same once in a heartbeat, evenly spread.
func (c *registrantCrowd) keepAlive(heartbeat time.Duration) error {
	turns := make(chan int)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	go func() {
		for next := 0; ; {
			<-tick.C
			for due := int(int64(time.Since(began)) * registrants / int64(heartbeat)); next < due; next++ {
				turns <- next % registrants
			}
		}
	}()
	return c.inTurn(turns, func(n int, r *bufio.Reader) error {
		_, err := c.list[n].say(r)
		return err
	})
}

func (c *registrantCrowd) tls(cert *tls.Certificate) (*tls.Config, error) {
	host, _, _ := strings.Cut(c.host, ":")
	return secrets.ClientTLS(secrets.ClientConfig{ServerName: host, CAHash: c.ca, Certificate: func() *tls.Certificate { return cert }, Now: time.Now})
}

// exchange gets a server's certificate and its connection.
func (c *registrantCrowd) exchange(n int) error {
	name := fmt.Sprintf("r%05d", n)
	csr, err := secrets.CSR(c.key, name)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"name": name, "csr": string(csr)})
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, c.base+"/api/v1/registrations", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := c.shared.RoundTrip(req)
	if err != nil {
		return err
	}
	raw, err := read(answer)
	if err != nil {
		return err
	}
	var got struct{ Certificate string }
	if err := json.Unmarshal(raw, &got); err != nil {
		return err
	}
	cert := &tls.Certificate{PrivateKey: c.key}
	for rest := []byte(got.Certificate); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert.Certificate = append(cert.Certificate, block.Bytes)
	}
	config, err := c.tls(cert)
	if err != nil {
		return err
	}
	config.NextProtos = nil
	conn, err := tls.Dial("tcp", c.host, config)
	if err != nil {
		return err
	}
	says := fmt.Sprintf(`{"state":"healthy","address":"10.%d.%d.%d","clusters":["p%02d"],"ports":{"http":8080}}`, 1+n>>16, n>>8&255, n&255, n%registrantPools)
	c.list[n] = registrant{conn, fmt.Appendf(nil, "PUT /api/v1/registrations/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", name, c.host, len(says), says)}
	return nil
}

// say registers, or says that nothing has changed.
func (s *registrant) say(with *bufio.Reader) ([]byte, error) {
	if _, err := s.conn.Write(s.says); err != nil {
		return nil, err
	}
	with.Reset(s.conn)
	answer, err := http.ReadResponse(with, nil)
	if err != nil {
		return nil, err
	}
	return read(answer)
}

func read(answer *http.Response) ([]byte, error) {
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s", answer.Status, raw)
	}
	return raw, err
}
