package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"weir"
)

// The longest bodies, in bytes, and the time in which they must arrive.
const (
	maxObjectBody   = 4 << 20
	maxManifestBody = weir.MaxManifest
	objectWithin    = 30 * time.Second
	manifestWithin  = 5 * time.Minute
)

// largeBody is from where bodies are decoded few at a time, since decoding takes a multiple of their size.
const largeBody = 1 << 20

const mediaTypes = "application/json or application/yaml"

// DeletionsType is the media type of a body that names objects to delete, as Pool/web-az1, one a line: for more than
// the query of an address holds.
const DeletionsType = "application/vnd.weir.deletions"

// namesDeletions says that the body holds no objects but the names of those to delete.
func (c *call) namesDeletions() bool {
	media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	return err == nil && media == DeletionsType
}

func (c *call) deletions() ([]string, error) {
	text, err := c.body(maxObjectBody, objectWithin)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// manifest reads the body as objects, strictly, and nothing else reads bodies.
func (c *call) manifest(limit int64, within time.Duration) ([]*weir.Object, error) {
	asJSON, err := c.bodyType()
	if err != nil {
		return nil, err
	}
	text, err := c.body(limit, within)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, invalid("the body is not UTF-8")
	}
	if len(text) > largeBody {
		select {
		case c.h.large <- struct{}{}:
			defer func() { <-c.h.large }()
		case <-c.r.Context().Done():
			return nil, weir.Errorf(weir.Unavailable, "the client went away")
		}
	}
	if asJSON {
		if err := checkJSON(text); err != nil {
			return nil, err
		}
		text = yamlStrings(text)
	}
	return weir.Decode("body", text)
}

// one reads the body as exactly one object of a kind.
func (c *call) one(kind weir.Kind) (*weir.Object, error) {
	list, err := c.manifest(maxObjectBody, objectWithin)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, invalid("the body holds %d objects; this needs exactly one, and /api/v1/apply takes many", len(list))
	}
	if list[0].Kind != kind.Name {
		return nil, &weir.Error{Kind: weir.Invalid, Message: "the body is not what the address says", Problems: []weir.Problem{
			{Object: list[0].Ref().String(), Path: "kind", Message: "must be " + kind.Name + " here"},
		}}
	}
	return list[0], nil
}

// bodyType tells JSON from YAML by the Content-Type, which is required.
func (c *call) bodyType() (asJSON bool, err error) {
	given := c.r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	if err != nil {
		return false, weir.Errorf(wrongType, "the Content-Type must be %s", mediaTypes)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false, weir.Errorf(wrongType, "the body's charset must be utf-8")
	}
	if coding := c.r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return false, weir.Errorf(wrongType, "the body must be sent without a Content-Encoding")
	}
	switch media {
	case "application/json":
		return true, nil
	case "application/yaml", "application/x-yaml", "text/yaml":
		return false, nil
	}
	return false, weir.Errorf(wrongType, "the Content-Type must be %s", mediaTypes)
}

func (c *call) body(limit int64, within time.Duration) ([]byte, error) {
	tooLarge := weir.Errorf(weir.TooLarge, "the body is longer than %d bytes", limit)
	if c.r.ContentLength > limit {
		return nil, tooLarge
	}
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Now().Add(within)) // a test's recorder has none
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	text, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	c.read = len(text)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, weir.Errorf(slowBody, "the body did not arrive within %s", within)
	case err != nil:
		return nil, invalid("the body can't be read to its end")
	case len(bytes.TrimSpace(text)) == 0:
		return nil, invalid("the body is empty; it must hold objects, as %s", mediaTypes)
	}
	return text, nil
}

// checkJSON says where text stops being JSON.
func checkJSON(text []byte) error {
	var syntax *json.SyntaxError
	err := json.Unmarshal(text, new(json.RawMessage))
	if err == nil {
		return nil
	}
	line, message := 0, "is not JSON"
	if errors.As(err, &syntax) {
		at := min(max(syntax.Offset-1, 0), int64(len(text)))
		line = 1 + bytes.Count(text[:at], []byte("\n"))
		message = fmt.Sprintf("is not JSON from byte %d on", at)
	}
	return &weir.Error{Kind: weir.Invalid, Message: "the body can't be read", Problems: []weir.Problem{{File: "body", Line: line, Message: message}}}
}

// yamlStrings writes the strings of a JSON text so that a YAML reader understands them as JSON does: the two
// differ in escapes, in what counts as a line end, and in which characters may stand for themselves. Lines stay.
func yamlStrings(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/16)
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out = append(out, text[i])
			i++
			continue
		}
		end := i + 1
		for text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		end++
		out = yamlString(out, text[i:end])
		i = end
	}
	return out
}

func yamlString(out, literal []byte) []byte {
	plain := true
	for _, b := range literal[1 : len(literal)-1] {
		plain = plain && b >= ' ' && b <= '~' && b != '\\'
	}
	if plain {
		return append(out, literal...)
	}
	var s string
	if err := json.Unmarshal(literal, &s); err != nil {
		return append(out, literal...) // it was valid JSON: can't be
	}
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r >= ' ' && r <= '~':
			out = append(out, byte(r))
		default:
			out = fmt.Appendf(out, `\U%08X`, r)
		}
	}
	return append(out, '"')
}
