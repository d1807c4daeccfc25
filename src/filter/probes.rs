//! Signatures known to be good, to find out what the host verifies.
//!
//! The private keys were thrown away; each signature is over the text before its last dot.

use crate::token::algorithm::Algorithm;

/// An algorithm, a public key in JWK form, and a compact JWS.
pub type Probe = (Algorithm, &'static str, &'static str);

/// One probe for each algorithm a host may verify.
pub const PROBES: [Probe; 5] = [
    (
        Algorithm::Rs256,
        RSA_KEY,
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.cHJvYmU.BeIuf1-u7b_zftLDQXqe1EZTnrtywyiEPAS_wzT7TqyfggutIcWpETiipWAhSxCDXBrAsJ9",
            "ay0iV3R8pgTHRzVmJWO6AcHudecAVUkWaNrCYRIJiV_CIQ7CJJVjwllgjPX8PZMEAQHpSnOLKKpftIKAecpzB8L66giTB_iMoBMS",
            "jAypE9YkB3ondBxzXYVwlXC46yiKT4c6hDonq3seKQIjhKJfcvFpqjn-zVnz9uWu6kRX7DklC5eLidnycf5gQaL8sxNhbGYMftet",
            "0MkaKySpGfYvK-SqDjxqICKJbylUcsnRyRmBytT8aAvGB6gDlW75duHgf71BRRKr5eb2EFg",
        ),
    ),
    (
        Algorithm::Rs384,
        RSA_KEY,
        concat!(
            "eyJhbGciOiJSUzM4NCJ9.cHJvYmU.IpJbMkDiBDS67r58Adc9oRwQjo10Oh_PS1wIcU3z4VEhueMaLKZNpB7-o3HfbrndzHhbg1H",
            "pVK683_-NcvEhuyHsx72ffKQuyXFM5rLcRjskmDBkftGaIi4D4M8-yk2IAYjuHkmNo2MKFWbKeSRSDyBMHEWs_xqG9CHjFsyZNTd",
            "jpKQCBzwSab1tN7vLnMwKMNUh3A9yGRP-40IXzVEo4lIGTU-zZG47PlPJ7VvFFGr75RGmIUhzVLl56QHxuZ3FtpLEPbJOGB6N9YR",
            "IysRSEgIaXzH2I_rl6OiSRYIK2z3jDHQH41l066KFoZVWco9684xV2NR1QhECpWnJy8lG_A",
        ),
    ),
    (
        Algorithm::Rs512,
        RSA_KEY,
        concat!(
            "eyJhbGciOiJSUzUxMiJ9.cHJvYmU.Wk_C0vnwBqWW9MBqk8KgVo2LJFEYSwWfJsDrgdr2Fi1A8bu6iNKepaQfjrWdPbwQWDzigdz",
            "inUhTUWpULMQXuR86UIxIihzi43VJph5djxeIVKDGyc4D38GRtaY6kcp_kC9G99nphWoOWMEBrzBHSfg1owEcOSSxzQPj2ikNj1a",
            "kChRlyJ9fhQb2yl0q3E4U1NC3eNzMcjB4YbpY-BnkNedCYvsIsi8idcPhZ4slpEnxKS-14J6osIbvfsbmQtYMTG_YrpHXO7DUB4J",
            "Zvs31q_yqrDa75DM_dYLnLuzOGHcLkVd4IsuIkunGwIjVDyMVayUw50u1VpDeLaSlygxIlQ",
        ),
    ),
    (
        Algorithm::Es256,
        concat!(
            "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"gzekY-KEcXDpXLRm5QteqCjQdxZ6Jj9cVwN7faMgt0k\",\"y\":\"2P7yct27dOPeaXoL4_n",
            "k2saCMrWEr5xoM69InpHT4WE\"}",
        ),
        concat!(
            "eyJhbGciOiJFUzI1NiJ9.cHJvYmU.cE0h2TSjRX-6_m77QlMlgnFrHU4txey6qJKGN5NTUYGNTi4Vb9i5UQOIeAbGVAyc51Xot53",
            "hXJHzkpwuqTGfcQ",
        ),
    ),
    (
        Algorithm::Es384,
        concat!(
            "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"rB22CsTDWPLWeBWZFmkJzlauuwHSQDitJ6bMR3hH6jX5P6P7deDaniC6FT-pZKjY\",\"y\"",
            ":\"o7hA8HvORqG44jceU8Hp8x7XtfG6A14P56PUSSzaPOkV_XYOix0MGDY383sxf1tY\"}",
        ),
        concat!(
            "eyJhbGciOiJFUzM4NCJ9.cHJvYmU.l_f2H4X9wwfJDaXw1t0pEcz0G0hMQMSDOcqMs4NmxSTNQVQcSnf2MnFwGtKCILPKQkn4v5T",
            "y-OeKnfgB5cAoTrkAXYfQWEn_VQbBO0w9BdZV7Bt2JWSNlIHDUHpDPmvb",
        ),
    ),
];

const RSA_KEY: &str = concat!(
    "{\"kty\":\"RSA\",\"n\":\"pO9GotfNiWa0eiuLyVTwKKX30ZYc--2xKHTALCftIa8jVX1IWokvvzw7WyZYqU2DyAn__2pYEIIz3KycH3",
    "X2TyvfWTa94_DoiHwnUBupScDKNwQZj3BcuCM3taIQJYOzCmdzYsWNc6jmjgxvBKHwshi4SsjoZAIclfvEOoYR6Xl3FikGPc4_ZL",
    "JIZfzuaKm3_e9H6zSdWP1gFWvlQJU4VQ8OWFsc1OIs49ughxk19GuWjPYb9vqLinwg_gGw9twGSUGEmtVo-kvZL9kXRVVldVXSBJ",
    "GGO1RXgDJX5SHgwKgUs9VdapH46in9PslnKUsFpN29YB4QaeHYamc9ECr1hQ\",\"e\":\"AQAB\"}",
);
