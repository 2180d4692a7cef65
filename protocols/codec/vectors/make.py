#!/usr/bin/env python3
"""Makes the vectors in this folder with libraries of other people: libspandsp (G.722), libgsm (GSM full rate), libbcg729 (G.729),
opencore-amr and vo-amrwbenc (AMR, AMR-WB), libopus (Opus).

Needs the Debian packages that README.md names. Run in this folder: python3 make.py
"""

import array
import ctypes
import wave


def said(quieter):
    """One second of speech, then noise as loud as can be or so many bits quieter: 8000 Hz."""
    with wave.open("../../rtp/prompts/alice.wav") as prompt:
        prompt.setpos(2000)
        speech = array.array("h", prompt.readframes(8000))
    state, noise = 1, array.array("h")
    for _ in range(2000):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        sample = state >> 16
        noise.append((sample - 65536 if sample > 32767 else sample) >> quieter)
    return speech + noise


def doubled(samples):
    """The same at 16000 Hz: between two samples lies their mean."""
    out = array.array("h")
    for this, after in zip(samples, list(samples[1:]) + [0]):
        out.extend((this, (this + after) >> 1))
    return out


def pointer(samples):
    return (ctypes.c_int16 * len(samples)).from_buffer(samples)


def write(name, data):
    with open(name, "wb") as file:
        file.write(bytes(data))


def g722(samples):
    lib = ctypes.CDLL("libspandsp.so.2")
    for function in ("g722_encode_init", "g722_decode_init"):
        getattr(lib, function).restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(lib.g722_encode_init(None, 64000, 0))
    code = (ctypes.c_uint8 * (len(samples) // 2))()
    count = lib.g722_encode(encoder, code, pointer(samples), len(samples))
    assert count == len(code)
    write("g722.code", code)
    decoder = ctypes.c_void_p(lib.g722_decode_init(None, 64000, 0))
    heard = array.array("h", [0]) * len(samples)
    assert lib.g722_decode(decoder, pointer(heard), code, count) == len(samples)
    write("g722.heard", heard.tobytes())


def gsm(samples):
    lib = ctypes.CDLL("libgsm.so.1")
    lib.gsm_create.restype = ctypes.c_void_p
    encoder, decoder = (ctypes.c_void_p(lib.gsm_create()) for _ in range(2))
    code, heard = bytearray(), array.array("h")
    for at in range(0, len(samples) - 159, 160):
        frame = (ctypes.c_uint8 * 33)()
        lib.gsm_encode(encoder, pointer(samples[at : at + 160]), frame)
        code += bytes(frame)
        out = array.array("h", [0]) * 160
        assert lib.gsm_decode(decoder, frame, pointer(out)) == 0
        heard += out
    write("gsm.code", code)
    write("gsm.heard", heard.tobytes())


def frames(samples, length):
    return [samples[at : at + length] for at in range(0, len(samples) - length + 1, length)]


def with_length(payload):
    """Payloads have different lengths: each stands behind its own, in two bytes."""
    return len(payload).to_bytes(2, "little") + bytes(payload)


def g729(samples):
    lib = ctypes.CDLL("libbcg729.so.0")
    for function in ("initBcg729EncoderChannel", "initBcg729DecoderChannel"):
        getattr(lib, function).restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(lib.initBcg729EncoderChannel(0))
    decoder = ctypes.c_void_p(lib.initBcg729DecoderChannel())
    code, heard = bytearray(), array.array("h")
    for said in frames(samples, 80):
        frame, length = (ctypes.c_uint8 * 10)(), ctypes.c_uint8()
        lib.bcg729Encoder(encoder, pointer(said), frame, ctypes.byref(length))
        assert length.value == 10
        code += bytes(frame)
        out = array.array("h", [0]) * 80
        lib.bcg729Decoder(decoder, frame, 10, 0, 0, 0, pointer(out))
        heard += out
    write("g729.code", code)
    write("g729.heard", heard.tobytes())


def amr(samples, mode):
    lib = ctypes.CDLL("libopencore-amrnb.so.0")
    for function in ("Encoder_Interface_init", "Decoder_Interface_init"):
        getattr(lib, function).restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(lib.Encoder_Interface_init(0))
    decoder = ctypes.c_void_p(lib.Decoder_Interface_init())
    code, heard = bytearray(), array.array("h")
    for said in frames(samples, 160):
        frame = (ctypes.c_uint8 * 64)()
        length = lib.Encoder_Interface_Encode(encoder, mode, pointer(said), frame, 0)
        code += with_length(frame[:length])
        out = array.array("h", [0]) * 160
        lib.Decoder_Interface_Decode(decoder, frame, pointer(out), 0)
        heard += out
    write(f"amr{mode}.code", code)
    write(f"amr{mode}.heard", heard.tobytes())


def amr_wb(samples, mode):
    lib = ctypes.CDLL("libvo-amrwbenc.so.0")
    lib.E_IF_init.restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(lib.E_IF_init())
    other = ctypes.CDLL("libopencore-amrwb.so.0")
    other.D_IF_init.restype = ctypes.c_void_p
    decoder = ctypes.c_void_p(other.D_IF_init())
    code, heard = bytearray(), array.array("h")
    for said in frames(samples, 320):
        frame = (ctypes.c_uint8 * 64)()
        length = lib.E_IF_encode(encoder, mode, pointer(said), frame, 0)
        code += with_length(frame[:length])
        out = array.array("h", [0]) * 320
        other.D_IF_decode(decoder, frame, pointer(out), 0)
        heard += out
    write(f"amrwb{mode}.code", code)
    write(f"amrwb{mode}.heard", heard.tobytes())


def opus(samples):
    lib = ctypes.CDLL("libopus.so.0")
    for function in ("opus_encoder_create", "opus_decoder_create"):
        getattr(lib, function).restype = ctypes.c_void_p
    error, voip, set_complexity = ctypes.c_int(), 2048, 4010
    encoder = ctypes.c_void_p(lib.opus_encoder_create(16000, 1, voip, ctypes.byref(error)))
    assert lib.opus_encoder_ctl(encoder, set_complexity, 5) == 0
    decoder = ctypes.c_void_p(lib.opus_decoder_create(16000, 1, ctypes.byref(error)))
    code, heard = bytearray(), array.array("h")
    for said in frames(samples, 320):
        payload = (ctypes.c_uint8 * 1275)()
        length = lib.opus_encode(encoder, pointer(said), 320, payload, 1275)
        code += with_length(payload[:length])
        out = array.array("h", [0]) * 1920
        assert lib.opus_decode(decoder, payload, length, pointer(out), 1920, 0) == 320
        heard += out[:320]
    write("opus.code", code)
    write("opus.heard", heard.tobytes())


if __name__ == "__main__":
    # What is too loud for a sample turns over in libspandsp's decoder.
    g722(doubled(said(1)))
    gsm(said(0))
    # What is too loud for a sample is cut off by these libraries in another way than by the reference code.
    g729(said(1))
    for mode in (0, 7):
        amr(said(1), mode)
    for mode in (0, 2, 8):
        amr_wb(doubled(said(1)), mode)
    opus(doubled(said(1)))
