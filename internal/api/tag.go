package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// answerTagged sends v as JSON with an ETag of what it says, or nothing but 304 when the client has that.
func (c *call) answerTagged(v any) error {
	raw, err := jsonOf(v)
	if err != nil {
		return err
	}
	return c.sendTagged(raw, raw)
}

// sendTagged sends an answer with a weak ETag of same: the answer without what changes from one look to the next and
// means nothing.
func (c *call) sendTagged(raw, same []byte) error {
	sum := sha256.Sum256(same)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
	c.w.Header().Set("ETag", "W/"+tag)
	if matches(c.r.Header.Values("If-None-Match"), tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(http.StatusOK)
	_, err := c.w.Write(raw)
	return c.cut(err)
}

func jsonOf(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return b.Bytes(), err
}
