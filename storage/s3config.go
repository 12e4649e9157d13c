package storage

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// S3Config says where a bucket is and how to get in.
type S3Config struct {
	Endpoint string // URL without a path; empty for Amazon S3 in Region
	Region   string // empty for us-east-1
	Bucket   string
	Prefix   string // key under which the store lies, may be empty

	AccessKey, SecretKey, SessionToken string

	// Insecure allows http to other machines than this one.
	Insecure bool
	// Timeout bounds the wait for the answer to one request; 0 for 10 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil for one of the store's own.
	Transport http.RoundTripper
}

const (
	s3Region  = "us-east-1"
	s3Timeout = 10 * time.Second
)

// S3FromEnv reads a specification "s3://bucket/prefix" and the rest from the
// environment:
//
//	AIRLOCK_S3_ENDPOINT                           default Amazon S3
//	AIRLOCK_S3_REGION                             default us-east-1
//	AIRLOCK_S3_ACCESS_KEY, AIRLOCK_S3_SECRET_KEY  default AWS_ACCESS_KEY_ID,
//	                                              AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
//	AIRLOCK_S3_INSECURE=true                      http to other machines too
func S3FromEnv(spec string, getenv func(string) string) (S3Config, error) {
	rest, ok := strings.CutPrefix(spec, s3Scheme)
	if !ok {
		return S3Config{}, fmt.Errorf("store %.80q: want s3://bucket/prefix", spec)
	}
	bucket, prefix, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	cfg := S3Config{
		Endpoint:  getenv("AIRLOCK_S3_ENDPOINT"),
		Region:    getenv("AIRLOCK_S3_REGION"),
		Bucket:    bucket,
		Prefix:    prefix,
		AccessKey: getenv("AIRLOCK_S3_ACCESS_KEY"),
		SecretKey: getenv("AIRLOCK_S3_SECRET_KEY"),
		Insecure:  getenv("AIRLOCK_S3_INSECURE") == "true",
	}
	if cfg.AccessKey == "" && cfg.SecretKey == "" {
		cfg.AccessKey = getenv("AWS_ACCESS_KEY_ID")
		cfg.SecretKey = getenv("AWS_SECRET_ACCESS_KEY")
		cfg.SessionToken = getenv("AWS_SESSION_TOKEN")
	}
	return cfg, nil
}

// check fills what is left out and refuses what cannot be. It returns the host
// and whether to use TLS.
func (c *S3Config) check() (host string, secure bool, err error) {
	if c.Region == "" {
		c.Region = s3Region
	}
	if c.Timeout == 0 {
		c.Timeout = s3Timeout
	}
	if c.Prefix != "" {
		if err := CheckKey(c.Prefix); err != nil {
			return "", false, err
		}
		c.Prefix += "/"
	}
	switch {
	case c.Bucket == "":
		return "", false, &SettingError{"no bucket is named", "say --store s3://bucket/prefix"}
	case c.AccessKey == "" || c.SecretKey == "":
		return "", false, &SettingError{"there are no credentials for the bucket",
			"set AIRLOCK_S3_ACCESS_KEY and AIRLOCK_S3_SECRET_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the environment"}
	case c.Endpoint == "":
		return "s3." + c.Region + ".amazonaws.com", true, nil
	}
	return c.endpoint()
}

const hintEndpoint = "set AIRLOCK_S3_ENDPOINT to scheme and host only, such as https://s3.example.org"

func (c *S3Config) endpoint() (host string, secure bool, err error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return "", false, &SettingError{"AIRLOCK_S3_ENDPOINT is not a URL", hintEndpoint} // the text may hold a password
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", false, &SettingError{"AIRLOCK_S3_ENDPOINT is not scheme and host only", hintEndpoint}
	case u.Scheme == "https":
		return u.Host, true, nil
	case u.Scheme != "http":
		return "", false, &SettingError{fmt.Sprintf("AIRLOCK_S3_ENDPOINT has scheme %.20q, want https", u.Scheme), hintEndpoint}
	case !c.Insecure && !isLoopback(u.Hostname()):
		return "", false, &SettingError{fmt.Sprintf("AIRLOCK_S3_ENDPOINT http://%s would send data in clear", u.Host), "use https, or set AIRLOCK_S3_INSECURE=true"}
	}
	return u.Host, false, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
