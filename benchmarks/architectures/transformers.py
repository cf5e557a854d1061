"""Attention, spelt out, by PyTorch's own layers, and as the library transformers has it."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .building import Residual, architecture, integers, mlp, real


class SelfAttention(nn.Module):
    """Of ``heads`` heads, over ``batch x tokens x width``; ``fused``: by one function."""

    def __init__(self, width: int, heads: int, fused: bool = True) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, bias=None):
        """The mixed tokens."""
        n, t, width = x.shape
        parts = self.qkv(x).view(n, t, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            scores = scores if bias is None else scores + bias
            mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))


def block(width: int, fused: bool = True) -> nn.Module:
    """A layer of an encoder, its norms in front."""
    inner = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, 2, fused))
    dense = nn.Sequential(nn.LayerNorm(width), mlp(width, 2 * width, width, act=nn.GELU))
    return nn.Sequential(Residual(inner), Residual(dense))


class _Vit(nn.Module):
    def __init__(self, tokens: int, fused: bool) -> None:
        super().__init__()
        self.patch, self.tokens = nn.Conv2d(3, 8, 4, 4), tokens
        self.first = nn.Parameter(torch.randn(1, tokens, 8))
        self.places = nn.Parameter(torch.randn(1, 4 + tokens, 8) / 2)
        self.block, self.norm = block(8, fused), nn.LayerNorm(8)
        self.heads = nn.ModuleList(nn.Linear(8, 5) for _ in range(tokens))

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.places
        x = self.norm(self.block(x))
        found = [head(x[:, place]) for place, head in enumerate(self.heads)]
        return sum(found) / self.tokens


@architecture("vit", real(3, 8, 8))
def _vit():
    return _Vit(1, True)


@architecture("deit", real(3, 8, 8))
def _deit():
    return _Vit(2, False)


@architecture("swin", real(3, 16, 16))
class _Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm, self.attend = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), _window()
        self.shifted, self.bias = _window(), nn.Parameter(torch.randn(2, 4, 4) / 4)
        self.merge, self.head = nn.Linear(32, 16, bias=False), nn.Linear(16, 5)
        self.merged = nn.LayerNorm(32)
        mask = torch.zeros(4, 1, 4, 4)
        mask[1:, :, :2, 2:] = mask[1:, :, 2:, :2] = -100.0
        self.register_buffer("mask", mask)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        x = x + self._windows(self.norm(x), self.attend, None)
        moved = torch.roll(self.norm(x), (-1, -1), (1, 2))
        x = x + torch.roll(self._windows(moved, self.shifted, self.mask), (1, 1), (1, 2))
        parts = x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]
        x = self.merge(self.merged(torch.cat(parts, -1)))
        return self.head(x.mean((1, 2)))

    def _windows(self, x, attend, mask):
        n = x.shape[0]
        x = x.view(n, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 8)
        bias = self.bias if mask is None else self.bias + mask.repeat(n, 1, 1, 1)
        x = attend(x, bias)
        return x.view(n, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(n, 4, 4, 8)


def _window():
    return SelfAttention(8, 2, fused=False)


@architecture("transformer_encoder", real(5, 6))
def _encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(6, 8), encoder, nn.Flatten(), nn.Linear(40, 4))


@architecture("detr_decoder", real(6, 8))
class _Detr(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, 4, 8))
        self.decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.classes, self.boxes = nn.Linear(8, 3), mlp(8, 8, 4)

    def forward(self, memory):
        y = self.decoder(self.queries.expand(memory.shape[0], -1, -1), memory)
        return self.classes(y), self.boxes(y).sigmoid()


@architecture("conformer", real(6, 8))
class _Conformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = (
            nn.Sequential(nn.LayerNorm(8), mlp(8, 16, 8, act=nn.SiLU)) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.attend = SelfAttention(8, 2)
        self.widen, self.depth = nn.Conv1d(8, 16, 1), nn.Conv1d(8, 8, 3, padding=1, groups=8)
        self.scale, self.narrow, self.head = nn.BatchNorm1d(8), nn.Conv1d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x):
        x = x + self.before(x) / 2
        x = x + self.attend(self.norms[0](x))
        y = F.glu(self.widen(self.norms[1](x).transpose(1, 2)), 1)
        x = x + self.narrow(F.silu(self.scale(self.depth(y)))).transpose(1, 2)
        return self.head(self.norms[2](x + self.after(x) / 2))


@architecture("mlp_mixer", real(4, 6))
class _Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.one, self.two = nn.Linear(6, 8), nn.LayerNorm(8), nn.LayerNorm(8)
        self.tokens, self.channels = mlp(4, 8, 4, act=nn.GELU), mlp(8, 16, 8, act=nn.GELU)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.embed(x)
        x = x + self.tokens(self.one(x).transpose(1, 2)).transpose(1, 2)
        return self.head((x + self.channels(self.two(x))).mean(1))


class _Only(nn.Module):
    """One result of a model of the library transformers."""

    def __init__(self, model: nn.Module, result: str) -> None:
        super().__init__()
        self.model, self.result = model, result

    def forward(self, x):
        return getattr(self.model(x), self.result)


_SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
_TEXT = {**_SIZES, "intermediate_size": 16, "vocab_size": 30, "max_position_embeddings": 8}


@architecture("bert_tiny", integers(30, 4))
def _bert():
    from transformers import BertConfig, BertForSequenceClassification

    return _Only(BertForSequenceClassification(BertConfig(**_TEXT)), "logits")


@architecture("distilbert_tiny", integers(30, 4))
def _distilbert():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=30, max_position_embeddings=8, n_layers=1, n_heads=2, dim=8, hidden_dim=16
    )
    return _Only(DistilBertForSequenceClassification(config), "logits")


@architecture("gpt2_tiny", integers(30, 4))
def _gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=30, n_positions=8, n_embd=8, n_layer=1, n_head=2, use_cache=False
    )
    return _Only(GPT2LMHeadModel(config), "logits")


@architecture("llama_tiny", integers(30, 4))
def _llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return _Only(LlamaForCausalLM(LlamaConfig(**_TEXT, use_cache=False)), "logits")


@architecture("whisper_encoder", real(8, 8))
def _whisper():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = WhisperConfig(
        num_mel_bins=8, d_model=8, encoder_layers=1, encoder_attention_heads=2,
        encoder_ffn_dim=16, max_source_positions=4,
    )  # fmt: skip
    return _Only(WhisperEncoder(config), "last_hidden_state")


@architecture("hf_vit", real(3, 8, 8))
def _hf_vit():
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(**_SIZES, intermediate_size=16, image_size=8, patch_size=4, num_labels=4)
    return _Only(ViTForImageClassification(config), "logits")
