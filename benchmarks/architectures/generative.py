"""Networks that make something: images, samples, and their critics."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .building import Residual, architecture, conv_bn, mlp, real
from .convolutional import Excite
from .transformers import SelfAttention


@architecture("autoencoder", real(16))
def _autoencoder():
    return nn.Sequential(mlp(16, 8, 3), nn.ReLU(), mlp(3, 8, 16), nn.Sigmoid())


class _Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = mlp(16, 10, 6), mlp(3, 10, 16)

    def forward(self, x, noise=None):
        mean, log = self.encode(x).chunk(2, -1)
        noise = torch.randn_like(mean) if noise is None else noise
        return torch.sigmoid(self.decode(mean + noise * torch.exp(log / 2))), mean


architecture("vae_randn", real(16))(_Vae)
architecture("vae_eps_input", real(16), real(3))(_Vae)


@architecture("gan_dcgan", real(6, 1, 1))
def _dcgan():
    up = nn.ConvTranspose2d(6, 8, 4), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*up, nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())


@architecture("gan_style_adain", real(6))
class _Style(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map, self.start = mlp(6, 8, 8, act=nn.LeakyReLU), nn.Parameter(torch.randn(1, 6, 4, 4))
        self.first, self.second = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.style, self.out = nn.Linear(8, 24), nn.Conv2d(6, 3, 1)
        self.norm = nn.InstanceNorm2d(6)

    def forward(self, z):
        styles = self.style(self.map(z)).view(-1, 4, 6, 1, 1)
        x = self.first(self.start.expand(z.shape[0], -1, -1, -1))
        x = F.leaky_relu(self.norm(x) * (styles[:, 0] + 1) + styles[:, 1], 0.2)
        x = self.second(F.interpolate(x, scale_factor=2))
        return self.out(F.leaky_relu(self.norm(x) * (styles[:, 2] + 1) + styles[:, 3], 0.2))


@architecture("superres_espcn", real(1, 8, 8))
def _espcn():
    front = nn.Conv2d(1, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 6, 3, padding=1), nn.Tanh()
    return nn.Sequential(*front, nn.Conv2d(6, 4, 3, padding=1), nn.PixelShuffle(2))


@architecture("superres_rcan", real(3, 6, 6))
def _rcan():
    conv = nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)
    body = Residual(nn.Sequential(*conv, Excite(6)))
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), body, nn.Conv2d(6, 12, 3, padding=1),
                         nn.PixelShuffle(2))  # fmt: skip


@architecture("diffusion_unet", real(2, 4, 4), real(1))
class _Diffusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.time = nn.Conv2d(2, 4, 3, padding=1), mlp(8, 8, 4, act=nn.SiLU)
        self.norms = nn.ModuleList(nn.GroupNorm(2, 4) for _ in range(3))
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.attend, self.leave = SelfAttention(4, 1), nn.Conv2d(4, 2, 3, padding=1)
        self.register_buffer("rates", torch.exp(-torch.arange(4.0)))

    def forward(self, x, t):
        angles = 20 * t * self.rates
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        x = self.enter(x)
        y = self.one(F.silu(self.norms[0](x))) + time[:, :, None, None]
        x = x + self.two(F.silu(self.norms[1](y)))
        rows = x.flatten(2).transpose(1, 2)
        x = x + self.attend(rows).transpose(1, 2).reshape(x.shape)
        return self.leave(F.silu(self.norms[2](x)))


@architecture("spectral_norm_critic", real(3, 8, 8))
def _critic():
    from torch.nn.utils.parametrizations import spectral_norm

    convs = spectral_norm(nn.Conv2d(3, 6, 4, 2, 1)), nn.LeakyReLU(0.2)
    return nn.Sequential(*convs, nn.Flatten(), spectral_norm(nn.Linear(96, 1)))


@architecture("instancenorm_style_transfer", real(3, 6, 6))
def _transfer():
    def layer(a: int, b: int) -> list[nn.Module]:
        return [nn.ReflectionPad2d(1), nn.Conv2d(a, b, 3), nn.InstanceNorm2d(b, affine=True)]

    body = Residual(nn.Sequential(*layer(4, 4), nn.ReLU()))
    return nn.Sequential(*layer(3, 4), nn.ReLU(), body, conv_bn(4, 3, 3, act=None), nn.Tanh())


@architecture("flow_realnvp", real(4))
class _Flow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(mlp(2, 6, 4) for _ in range(2))

    def forward(self, x):
        one, two = x.chunk(2, -1)
        for net in self.nets:
            scale, shift = net(one).chunk(2, -1)
            one, two = two * torch.exp(torch.tanh(scale)) + shift, one
        return torch.cat([one, two], -1)
